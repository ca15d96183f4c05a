package vips

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"deckle/transform"
)

// The shared corpora of real and of hostile pictures are larger than a repository should hold. Where they lie beside it they
// are rendered; where they do not, the pictures made in code carry the tests. This is the only condition in this package.
const corpus = "../../../shared/corpus"

func corpusFiles(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(corpus, folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files", len(files))
	return files
}

func TestGoodCorpus(t *testing.T) {
	for _, name := range corpusFiles(t, "good") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := transform.ReadHeader(source); errors.Is(err, transform.ErrUnsupported) {
				if _, err := engine.Render(context.Background(), source, transform.Spec{}); !errors.Is(err, transform.ErrUnsupported) {
					t.Errorf("the header is of no accepted type, but render says %v", err)
				}
				return
			}
			for _, width := range []int{64, 160} {
				full := mustRender(t, source, transform.Spec{Format: transform.PNG, Width: width, Background: transform.Background{Set: true, R: 255, G: 255, B: 255, A: 255}})
				want := decode(t, full)
				for _, f := range transform.OutputFormats() {
					p := mustRender(t, source, transform.Spec{Format: f, Width: width, Quality: 85, Background: transform.Background{Set: true, R: 255, G: 255, B: 255, A: 255}})
					if sniffed := transform.Sniff(p.Body); sniffed != f && f != transform.JXL {
						t.Errorf("%d as %s: the bytes are %s", width, f, sniffed)
					}
					if e := meanError(decode(t, p), want); e > 9 {
						t.Errorf("%d as %s: mean error %.1f", width, f, e)
					}
				}
			}
		})
	}
}

// Hostile files may be refused or rendered; they may not crash, hang, or fail without a reason that callers know.
func TestHostileCorpus(t *testing.T) {
	known := []error{transform.ErrUnsupported, transform.ErrMalformed, transform.ErrLimit}
	for _, name := range corpusFiles(t, "hostile") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			_, err = engine.Render(context.Background(), source, transform.Spec{Format: transform.JPEG, Width: 100, Height: 100})
			for _, e := range known {
				if errors.Is(err, e) {
					return
				}
			}
			if err != nil {
				t.Errorf("an error that callers do not know: %v", err)
			}
		})
	}
}
