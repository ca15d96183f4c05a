package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"deckle/internal/testimage"
	"deckle/origin"
	"deckle/transform"
)

func TestScrub(t *testing.T) {
	jpeg := testimage.JPEG(testimage.Quadrants(48, 32), 90)
	png := testimage.PNG(testimage.Quadrants(48, 32))
	noted := append(append(bytes.Clone(png[:33]), pngChunk("tEXt", []byte("Comment\x00at home"))...), png[33:]...)
	noted = append(noted, "<script>"...)
	for _, row := range []struct {
		name         string
		body, secret []byte
	}{
		{"jpeg", testimage.WithGPS(jpeg, 1), []byte("Exif")},
		{"jpeg on its side", testimage.WithGPS(jpeg, 6), nil},
		{"png", noted, []byte("at home")},
		{"png and a script", noted, []byte("<script>")},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t, func(c *Config) { c.Scrub = true })
			token := b.token("cat", false)
			got := b.mustSend("cat", token, row.body)
			stored := b.stored("cat")
			if bytes.Contains(row.body, row.secret) && row.secret != nil && bytes.Contains(stored, row.secret) {
				t.Errorf("the source still holds %q", row.secret)
			}
			if len(stored) >= len(row.body) || got.SHA256 != sha(stored) || got.MD5 != md5sum(stored) {
				t.Errorf("receipt %+v; %d bytes were stored of %d", got, len(stored), len(row.body))
			}
			if !bytes.Equal(shown(t, stored).Pix, shown(t, row.body).Pix) {
				t.Error("it shows something else")
			}
			if again := b.mustSend("cat", token, row.body); again != got {
				t.Errorf("sent again: %+v, want %+v", again, got)
			}
			b.mustSend("kept", b.grant("kept", Policy{KeepMetadata: true}), row.body)
			if !bytes.Equal(b.stored("kept"), row.body) {
				t.Error("the policy keeps metadata, and it was left out")
			}
			b.checkWhole()
		})
	}
	t.Run("nothing to leave out", func(t *testing.T) {
		b := newBench(t, func(c *Config) { c.Scrub = true })
		b.mustSend("cat", b.token("cat", false), jpeg)
		if !bytes.Equal(b.stored("cat"), jpeg) {
			t.Error("it was changed")
		}
	})
}

// TestScrubInPlace: a file whose parts know each other by offset keeps its size, and one that cannot be rid of what it tells is
// refused, unless the policy keeps that.
func TestScrubInPlace(t *testing.T) {
	field := func(tag, kind, count, value int) []byte {
		b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, uint16(tag)), uint16(kind))
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, uint32(count)), uint32(value))
	}
	tiff := func(tag int) []byte {
		return slices.Concat([]byte("MM\x00*\x00\x00\x00\x08\x00\x05"), field(256, 4, 1, 48), field(257, 4, 1, 32), field(258, 3, 1, 8<<16),
			field(274, 3, 1, 6<<16), field(tag, 2, 12, 8+2+5*12+4), []byte{0, 0, 0, 0}, []byte("at home, NY\x00"))
	}
	b := newBench(t, func(c *Config) { c.Scrub = true })
	got := b.mustSend("cat", b.token("cat", false), tiff(270))
	stored := b.stored("cat")
	header, err := transform.ReadHeader(stored)
	if err != nil || bytes.Contains(stored, []byte("home")) || len(stored) != len(tiff(270)) || header.Orientation != 6 || got.SHA256 != sha(stored) || got.Width != 32 {
		t.Errorf("%q, %v: %+v, %+v", stored, err, header, got)
	}
	half := testimage.WithGPS(photo(1), 6)
	half = half[:len(half)-2]
	for i, row := range []struct {
		body []byte
		want error
	}{{tiff(50706), transform.ErrUnsupported}, {half, transform.ErrMalformed}} {
		id := fmt.Sprint("dog", i)
		if _, err := b.send(id, b.token(id, false), row.body); !errors.Is(err, row.want) {
			t.Errorf("%d: %v, want %v", i, err, row.want)
		}
		id += "-kept"
		b.mustSend(id, b.grant(id, Policy{KeepMetadata: true}), row.body)
		if !bytes.Equal(b.stored(id), row.body) {
			t.Errorf("%d: it was not kept", i)
		}
	}
	b.mustSend("owl", b.token("owl", false), photo(1)[:len(photo(1))-2]) // it breaks off, and tells nothing
	b.checkWhole()
}

// TestScrubWebP has no encoder: the file's chunks are enough.
func TestScrubWebP(t *testing.T) {
	head := "VP8X\x0a\x00\x00\x00\x0c\x00\x00\x00\x2f\x00\x00\x1f\x00\x00"
	pixels := "VP8L\x05\x00\x00\x00\x2f\x2f\xc0\x07\x00\x00"
	webp := []byte("RIFF\x00\x00\x00\x00WEBP" + head + pixels + "EXIF\x04\x00\x00\x00home" + "XMP \x03\x00\x00\x00xmp\x00")
	webp[4] = byte(len(webp) - 8)
	got := bytes.Join(scrubbed(webp, transform.WebP, 6), nil)
	a, whole := dissect(got, transform.WebP)
	if !whole || len(got) != a.end || bytes.Contains(got, []byte("home")) || bytes.Contains(got, []byte("xmp")) {
		t.Fatalf("whole %v, %d bytes of %d: %q", whole, a.end, len(got), got)
	}
	if names := []string{a.parts[0].name, a.parts[1].name, a.parts[2].name}; names[1] != "VP8L" || names[2] != "EXIF" || a.parts[0].body[0] != 8 {
		t.Errorf("chunks %q, flags %x", names, a.parts[0].body[0])
	}
	if at, order := findOrientation(a.parts[2].body); at < 0 || order.Uint16(a.parts[2].body[at:]) != 6 {
		t.Error("the orientation was lost")
	}
}

func TestDecode(t *testing.T) {
	jpeg, png := photo(1), testimage.PNG(testimage.Quadrants(40, 30))
	for _, row := range []struct {
		name string
		body []byte
		want error
	}{
		{"whole", jpeg, nil},
		{"png", png, nil},
		{"gif", testimage.GIF(testimage.Quadrants(40, 30)), nil},
		{"half a jpeg", jpeg[:len(jpeg)/2], transform.ErrMalformed},
		{"a jpeg without its end", jpeg[:len(jpeg)-2], transform.ErrMalformed},
		{"a png without its end", png[:len(png)-5], transform.ErrMalformed},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t, func(c *Config) { c.Decode = true })
			got, err := b.send("cat", b.token("cat", false), row.body)
			if !errors.Is(err, row.want) || (err == nil) != (got.Placeholder != "") {
				t.Errorf("%+v, %v; want %v", got, err, row.want)
			}
			b.checkWhole()
		})
	}
	t.Run("an engine that cannot", func(t *testing.T) {
		b := newBench(t, func(c *Config) { c.Decode = true })
		b.engine.err = transform.ErrCrashed
		if _, err := b.send("cat", b.token("cat", false), jpeg); !errors.Is(err, transform.ErrCrashed) || b.stored("cat") != nil {
			t.Error(err)
		}
	})
}

// FuzzDissect holds that parts follow each other within the file, and that a scrubbed or turned file is one that can be taken apart
// again, and has nothing more to leave out.
func FuzzDissect(f *testing.F) {
	jpeg := testimage.JPEG(testimage.Quadrants(16, 16), 50)
	f.Add(testimage.WithGPS(jpeg, 6), uint8(6))
	f.Add(jpeg, uint8(1))
	f.Add(testimage.PNG(testimage.Quadrants(8, 8)), uint8(3))
	f.Add([]byte("RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x0c\x00\x00\x00\x2f\x00\x00\x1f\x00\x00"), uint8(8))
	f.Fuzz(func(t *testing.T, data []byte, orientation uint8) {
		header, err := transform.DefaultLimits().ReadHeader(data)
		if err != nil {
			return
		}
		format := header.Format
		a, whole := dissect(data, format)
		last := 0
		for _, p := range a.parts {
			if p.from < last || p.to <= p.from || p.to > len(data) {
				t.Fatalf("a part from %d to %d after %d, of %d bytes", p.from, p.to, last, len(data))
			}
			last = p.to
		}
		if pieces := scrubbed(data, format, header.Orientation); len(pieces) > 0 && format != transform.GIF {
			once := bytes.Join(pieces, nil)
			if again := scrubbed(once, format, header.Orientation); len(again) > 0 && !bytes.Equal(bytes.Join(again, nil), once) {
				t.Fatal("scrubbed twice is not scrubbed once")
			}
			if _, ok := dissect(once, format); !ok {
				t.Fatal("a scrubbed file breaks off")
			}
		}
		if want := 1 + int(orientation%8); format == transform.JPEG && whole {
			if pieces := reoriented(data, want); pieces != nil {
				if _, ok := dissect(bytes.Join(pieces, nil), format); !ok {
					t.Fatal("a turned file breaks off")
				}
			}
		}
	})
}

// TestConfirm goes on with what a client has PUT straight to the store.
func TestConfirm(t *testing.T) {
	b := newBench(t)
	token := b.grant("cat", Policy{})
	if _, err := b.SignPut(t.Context(), token); !errors.Is(err, ErrUnsigned) {
		t.Errorf("a directory: %v, want ErrUnsigned", err)
	}
	if _, err := b.Confirm(t.Context(), token, ""); !errors.Is(err, ErrNoImage) {
		t.Errorf("before the PUT: %v, want ErrNoImage", err)
	}
	file := filepath.Join(b.dir, "originals", origin.Incoming.Dir(), putObject(hashToken(token)))
	if err := os.WriteFile(file, photo(1), 0o600); err != nil {
		t.Fatal(err)
	}
	var first Receipt
	for i := range 2 {
		got, err := b.Confirm(t.Context(), token, "")
		if err != nil || got.SHA256 != sha(photo(1)) || i > 0 && got != first {
			t.Fatalf("confirmed %d: %+v, %v", i, got, err)
		}
		first = got
	}
	if n := b.asideFiles(origin.Incoming); n != 0 || !bytes.Equal(b.stored("cat"), photo(1)) {
		t.Errorf("%d files are left in the incoming area", n)
	}
	b.checkWhole()
}
