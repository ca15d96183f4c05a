package transform

import (
	"bytes"
	"errors"
	"image"
	_ "image/gif"
	_ "image/jpeg"
	_ "image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/tiff"
	_ "golang.org/x/image/webp"
)

// corpus holds real photographs and hostile files. It is no part of the repository; where it is not, these tests read nothing,
// and what they hold is held by the made files of the other tests.
const corpus = "../../shared/corpus"

func corpusFiles(t testing.TB, kind string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(corpus, kind, "*"))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte, len(names))
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = data
	}
	return files
}

func TestCorpusGood(t *testing.T) {
	for name, data := range corpusFiles(t, "good") {
		h, err := ReadHeader(data)
		if ext := filepath.Ext(name); ext == ".svg" || ext == ".jp2" || ext == ".jxl" {
			if !errors.Is(err, ErrUnsupported) {
				t.Errorf("%s: %v, want it refused", name, err)
			}
			if _, err := everyInput().ReadHeader(data); err != nil {
				t.Errorf("%s, switched on: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := DefaultLimits().CheckHeader(h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		config, format, err := image.DecodeConfig(bytes.NewReader(data))
		if err != nil {
			continue // of a kind that Go does not decode
		}
		if format != h.Format.String() || config.Width != h.Width || config.Height != h.Height {
			t.Errorf("%s: %+v, Go says %s of %dx%d", name, h, format, config.Width, config.Height)
		}
	}
}

// hostileRefused are the files of TRUST.md's rows 1 to 5 that a decoder must never see; the ones that ask for too much with
// ErrLimit, the decoys with ErrUnsupported.
var hostileRefused = map[string]error{
	"gen__png_bomb_*": ErrLimit, "gen__png_header_*": ErrLimit, "gen__png_interlaced_lie_*": ErrLimit, "gen__webp_vp8l_16384_lie*": ErrLimit,
	"gen__tiff_deflate_bomb*": ErrLimit, "gen__ispe_65535_*": ErrLimit, "gen__jpeg_progressive_2000_scans*": ErrLimit, "gen__png_iccp_bomb*": ErrLimit,
	"sharp__giant-image*": ErrLimit, "sharp__65536*": ErrLimit, "thumbor__16384x16384*": ErrLimit, "thumbor__9643x10328*": ErrLimit,
	"Pillow__decompression_bomb*": ErrLimit, "libpng__huge_*": ErrMalformed, "libpng__bad_iCCP*": ErrMalformed,
	"gen__bmp_int_min*": ErrMalformed, "image__Bad_reallybig*": ErrMalformed, "gen__webp_riff_size*": ErrMalformed, "gen__heif_*": ErrMalformed,
	"gen__decoy_*": ErrUnsupported, "gen__svg*": ErrUnsupported, "*generic_compressed*": ErrUnsupported, "*.j2k": ErrUnsupported,
}

// hostileStills are animations of which only the first frame is decoded (row 2).
var hostileStills = []string{"gen__webp_anim_*", "images__1024-pages*"}

func TestCorpusHostile(t *testing.T) {
	files := corpusFiles(t, "hostile")
	for name, data := range files {
		h, err := ReadHeader(data)
		if err == nil {
			err = DefaultLimits().CheckHeader(h)
		}
		// Switched on, the optional formats have bounds of their own.
		if all, errAll := everyInput().ReadHeader(data); err == nil && (errAll != nil || all != h) {
			t.Errorf("%s: %+v with everything switched on, %v", name, all, errAll)
		}
		for pattern, want := range hostileRefused {
			if match(t, pattern, name) && !errors.Is(err, want) {
				t.Errorf("%s: %+v, %v; want %v", name, h, err, want)
			}
		}
		for _, pattern := range hostileStills {
			if match(t, pattern, name) && (err != nil || !DefaultLimits().StillOnly(h)) {
				t.Errorf("%s: %+v, %v; want a first frame only", name, h, err)
			}
		}
		if err != nil && strings.Contains(err.Error(), corpus) {
			t.Errorf("%s: the error names a path: %v", name, err)
		}
	}
	if len(files) == 0 {
		return
	}
	for pattern := range hostileRefused {
		if found, _ := filepath.Glob(filepath.Join(corpus, "hostile", pattern)); len(found) == 0 {
			t.Errorf("no file is named %s: the list is out of date", pattern)
		}
	}
}

func match(t *testing.T, pattern, name string) bool {
	t.Helper()
	ok, err := filepath.Match(pattern, name)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}
