package main

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"
)

// TestRenderSettings: overlays, optional inputs and efforts reach the renderers, which are other processes.
func TestRenderSettings(t *testing.T) {
	overlays, data := t.TempDir(), t.TempDir()
	red := testimage.PNG(testimage.Flat(40, 40, color.NRGBA{R: 255, A: 255}))
	if err := os.WriteFile(filepath.Join(overlays, "logo.png"), red, 0o644); err != nil {
		t.Fatal(err)
	}
	d := start(t, "--data", data, "--overlays", overlays, "--inputs", "svg", "--effort", "webp=6,jpg=3", "--wide-gamut")
	d.upload("sky", testimage.PNG(testimage.Flat(200, 100, color.NRGBA{B: 255, A: 255})), false)
	marked, err := png.Decode(bytes.NewReader(d.mustGet("/sky_200_100.png?watermark=logo,northwest,0.5,1", "render").body))
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[image.Point]color.NRGBA{{X: 50, Y: 50}: {R: 255, A: 255}, {X: 180, Y: 50}: {B: 255, A: 255}} {
		if got := color.NRGBAModel.Convert(marked.At(at.X, at.Y)); got != want {
			t.Errorf("at %v: %v, want %v", at, got, want)
		}
	}
	if got := d.get("/sky_200_100.png?watermark=lego"); got.status != 400 || !bytes.Contains(got.body, []byte("logo")) {
		t.Errorf("an unknown overlay: %d %s", got.status, got.body)
	}
	drawing := `<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="20" height="10" fill="#00ff00"/></svg>`
	if err := os.WriteFile(filepath.Join(data, "originals", "drawing"), []byte(drawing), 0o644); err != nil {
		t.Fatal(err)
	}
	drawn, err := png.Decode(bytes.NewReader(d.mustGet("/drawing_200_100.png", "render").body))
	if err != nil {
		t.Fatal(err)
	}
	if got := color.NRGBAModel.Convert(drawn.At(100, 50)); got != (color.NRGBA{G: 255, A: 255}) || drawn.Bounds().Dx() != 200 {
		t.Errorf("the drawing is %v of %v", got, drawn.Bounds())
	}
	d.upload("photo", testimage.JPEG(testimage.Photo(300, 200, 1), 85), false)
	progressive := d.mustGet("/photo_100_100.jpg", "render").body
	if bytes.Contains(progressive, []byte{0xff, 0xc0}) || !bytes.Contains(progressive, []byte{0xff, 0xc2}) {
		t.Error("the JPEG is not progressive")
	}
	d.upload("wide", inP3(testimage.JPEG(testimage.Flat(64, 64, color.NRGBA{R: 234, G: 51, B: 35, A: 255}), 95)), false)
	if body := d.mustGet("/wide_32_32.jpg", "render").body; !bytes.Contains(body, transform.DisplayP3Profile()) {
		t.Error("the wide picture has no profile")
	}
	if body := d.get("/wide_32_32.jpg?placeholder=color").body; !bytes.Contains(body, []byte(`"#ff0000"`)) {
		t.Errorf("the wide picture's placeholder: %s", body)
	}
}

// inP3 puts the profile of Display P3 into a JPEG (ICC.1:2022, B.4).
func inP3(file []byte) []byte {
	segment := append([]byte("ICC_PROFILE\x00\x01\x01"), transform.DisplayP3Profile()...)
	head := append([]byte{0xff, 0xd8, 0xff, 0xe2}, binary.BigEndian.AppendUint16(nil, uint16(2+len(segment)))...)
	return append(append(head, segment...), file[2:]...)
}
