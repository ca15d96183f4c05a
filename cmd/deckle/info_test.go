package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deckle/internal/testimage"
)

// TestInfoEndToEnd: facts, placeholders, presets, downloads and the ladder, with the real binary and the real renderer.
func TestInfoEndToEnd(t *testing.T) {
	data := t.TempDir()
	originals := filepath.Join(data, "originals")
	if err := os.MkdirAll(originals, 0o755); err != nil {
		t.Fatal(err)
	}
	photo := testimage.WithEXIF(testimage.JPEG(testimage.Photo(600, 400, 1), 85), 8)
	dusk := color.NRGBA{R: 40, G: 60, B: 120, A: 255}
	for name, picture := range map[string][]byte{
		"photo": photo, "dusk": testimage.PNG(testimage.Flat(300, 100, dusk)), "glass": testimage.PNG(testimage.Alpha(80, 80)),
		"film": testimage.GIF(testimage.Quadrants(60, 40), testimage.Flat(60, 40, dusk)),
	} {
		if err := os.WriteFile(filepath.Join(originals, name), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(data, "deckle.yaml")
	settings := "presets:\n  thumb: _30_20?fit=crop&gravity=north\n  soft: blur=true\nsizes: [20, 40, 80]\n"
	if err := os.WriteFile(config, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	d := start(t, "--data", data, "--config", config)
	t.Run("facts", func(t *testing.T) { d.facts(t, len(photo)) })
	t.Run("placeholders", func(t *testing.T) { d.placeholders(t) })
	t.Run("presets", func(t *testing.T) { d.presets(t) })
}

// facts looks at what is said of each source, and at how it is cached.
func (d *daemon) facts(t *testing.T, photoBytes int) {
	type facts struct {
		Width, Height, Frames, Orientation, Bytes int
		Format, Version                           string
		HasAlpha                                  bool `json:"has_alpha"`
		Placeholder                               struct{ ThumbHash, BlurHash, Color string }
	}
	for id, want := range map[string]facts{
		"photo": {Width: 400, Height: 600, Frames: 1, Orientation: 8, Bytes: photoBytes, Format: "jpeg"},
		"dusk":  {Width: 300, Height: 100, Frames: 1, Orientation: 1, Format: "png"},
		"glass": {Width: 80, Height: 80, Frames: 1, Orientation: 1, Format: "png", HasAlpha: true},
		"film":  {Width: 60, Height: 40, Frames: 2, Orientation: 1, Format: "gif", HasAlpha: true},
	} {
		r := d.get("/" + id + ".json")
		var got facts
		if err := json.Unmarshal(r.body, &got); err != nil || r.status != 200 {
			t.Fatalf("%s: %d %s", id, r.status, r.body)
		}
		if got.Placeholder.ThumbHash == "" || got.Placeholder.BlurHash == "" || got.Version == "" {
			t.Errorf("%s: something is missing in %s", id, r.body)
		}
		if id == "dusk" && got.Placeholder.Color != "#283c78" {
			t.Errorf("the colour of dusk is %s", got.Placeholder.Color)
		}
		if want.Bytes == 0 {
			want.Bytes = got.Bytes
		}
		got.Version, got.Placeholder = "", want.Placeholder
		if got != want {
			t.Errorf("%s: %+v, want %+v", id, got, want)
		}
		again := d.get("/" + id + ".json")
		if status := again.header.Get("Cache-Status"); !strings.Contains(status, "hit") || !bytes.Equal(again.body, r.body) {
			t.Errorf("%s: the second answer is %s", id, status)
		}
	}
}

// placeholders looks at answers for one kind, of a rendering.
func (d *daemon) placeholders(t *testing.T) {
	for target, want := range map[string]string{
		"/dusk_40_40.jpg?fit=crop&placeholder=color":                     `{"color":"#283c78"}`,
		"/dusk_40_40.jpg?fit=canvas&background=283c78&placeholder=color": `{"color":"#283c78"}`,
	} {
		if r := d.get(target); r.status != 200 || string(r.body) != want || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", target, r.status, r.body)
		}
	}
	upright := d.get("/photo.jpg?placeholder=thumbhash")
	turned := d.get("/photo.jpg?rotate=90&placeholder=thumbhash")
	if upright.status != 200 || turned.status != 200 || bytes.Equal(upright.body, turned.body) {
		t.Errorf("turned or not, the hash is %s and %s", upright.body, turned.body)
	}
}

// presets looks at sizes that come from a preset, and at those that do not.
func (d *daemon) presets(t *testing.T) {
	r := d.get("/photo.png?preset=thumb&download=Katze%20%C3%A4.png")
	config, _, err := image.DecodeConfig(bytes.NewReader(r.body))
	if err != nil || config.Width != 30 || config.Height != 20 {
		t.Errorf("the preset gives %dx%d, %v: %.200s", config.Width, config.Height, err, r.body)
	}
	if name := r.header.Get("Content-Disposition"); name != `attachment; filename="Katze _.png"; filename*=UTF-8''Katze%20%C3%A4.png` {
		t.Errorf("Content-Disposition: %s", name)
	}
	if r := d.get("/photo.png?preset=thump"); r.status != http.StatusBadRequest || !bytes.Contains(r.body, []byte("did you mean thumb?")) {
		t.Errorf("a misspelt preset: %d %s", r.status, r.body)
	}
	if r := d.get("/photo_30_0.png"); r.status != http.StatusTemporaryRedirect || r.header.Get("Location") != "/photo_40_0.png" {
		t.Errorf("a size between two rungs: %d to %q", r.status, r.header.Get("Location"))
	}
}

// TestRuleFaults: what is wrong with presets and sizes is said before anything is begun.
func TestRuleFaults(t *testing.T) {
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"--presets", "thumb=fti=crop"}, "did you mean fit?"},
		{[]string{"--presets", "thumb=_9999_1"}, "at most 4096"},
		{[]string{"--sizes", "200,x"}, "200,400,800"},
		{[]string{"--sizes", "5000"}, "from 1 to 4096"},
		{[]string{"--sizes-snap"}, "--sizes beside it"},
		{[]string{"--presets-only"}, "--presets beside it"},
	} {
		if code, _, stderr := command(append([]string{"config"}, test.args...)...); code != exitUsage || !strings.Contains(stderr, test.says) {
			t.Errorf("%v: %d %s", test.args, code, stderr)
		}
	}
	t.Setenv("DECKLE_PRESETS", "thumb=_30_20?fit=crop;soft=blur=true")
	if code, stdout, stderr := command("config", "--presets-only"); code != exitOK || !strings.Contains(stdout, "thumb=_30_20?fit=crop;soft=blur=true") {
		t.Errorf("presets from the environment: %d %s %s", code, stdout, stderr)
	}
}
