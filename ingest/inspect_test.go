package ingest

import (
	"bytes"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"deckle/internal/testimage"
	"deckle/transform"
)

func TestCrop(t *testing.T) {
	jpeg := testimage.JPEG(testimage.Quadrants(40, 30), 80)
	for _, row := range []struct {
		name   string
		body   []byte
		cannot transform.Format
		want   transform.Spec
	}{
		{"jpeg", jpeg, 0, transform.Spec{Format: transform.JPEG, Quality: 95}},
		{"png", testimage.PNG(testimage.Quadrants(40, 30)), 0, transform.Spec{Format: transform.PNG}},
		{"what cannot be written", jpeg, transform.JPEG, transform.Spec{Format: transform.PNG}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			b.engine.cannot = row.cannot
			row.want.Crop = transform.Crop{X: 10, Y: 5, W: 20, H: 100} // reaches beyond the lower edge
			token := b.token("cat", false)
			send := func() Receipt {
				got, err := b.Receive(t.Context(), Upload{ID: "cat", Token: token, Body: bytes.NewReader(row.body), Crop: row.want.Crop})
				if err != nil {
					t.Fatal(err)
				}
				return got
			}
			got := send()
			stored := b.stored("cat")
			want := Receipt{
				ID: "cat", Version: got.Version, SHA256: sha(stored), Bytes: int64(len(stored)),
				Format: row.want.Format, Width: 20, Height: 25, MD5: md5sum(stored),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("receipt (-want +got):\n%s", diff)
			}
			if config, name, err := image.DecodeConfig(bytes.NewReader(stored)); err != nil || name != want.Format.String() || config.Width != 20 || config.Height != 25 {
				t.Errorf("stored a %s of %dx%d, error %v", name, config.Width, config.Height, err)
			}
			if again := send(); again != got {
				t.Errorf("sent again: %+v, want %+v", again, got)
			}
			if diff := cmp.Diff([]transform.Spec{row.want}, b.engine.specs); diff != "" {
				t.Errorf("rendered (-want +got):\n%s", diff)
			}
			b.checkWhole()
		})
	}
}

// TestMapFile maps files that have gone or have changed: errors that tell no path, and no fault of the processor.
func TestMapFile(t *testing.T) {
	dir := t.TempDir()
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int64{short: 1 << 20, filepath.Join(dir, "gone"): 5} {
		if _, _, err := mapFile(name, n, unix.PROT_READ); err == nil || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want an error without the path", filepath.Base(name), err)
		}
	}
	data, unmap, err := mapFile(short, 5, unix.PROT_READ)
	if err != nil || string(data) != "short" {
		t.Fatalf("mapped %q, error %v", data, err)
	}
	if err := unmap(); err != nil {
		t.Error(err)
	}
}
