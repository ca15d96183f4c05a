package vips

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/internal/testimage"
	"deckle/transform"
)

// TestStages: a render that is asked to tells what took how long, and its bytes are those of one that is not.
func TestStages(t *testing.T) {
	photo, moving := testimage.JPEG(testimage.Photo(300, 200, 5), 90), movingSquare(60, 40).gif(t)
	for _, test := range []struct {
		name   string
		source []byte
		spec   transform.Spec
		want   []string
	}{
		{"resized", photo, transform.Spec{Format: transform.WebP, Width: 100}, []string{"load", "fit", "pixels", "encode"}},
		{"turned", photo, transform.Spec{Format: transform.JPEG, Width: 100, Rotate: 90}, []string{"load", "fit", "turn", "pixels", "encode"}},
		{"trimmed", testimage.PNG(framed(testimage.Photo(40, 30, 1))), transform.Spec{Format: transform.PNG, Trim: transform.Trim{Set: true}}, []string{"trim", "load", "crop", "pixels", "encode"}},
		{"blurred", photo, transform.Spec{Format: transform.PNG, Width: 100, Blur: 200, Gray: true}, []string{"load", "fit", "tone", "blur", "pixels", "encode"}},
		{"transparent", testimage.PNG(testimage.Alpha(90, 60)), transform.Spec{Format: transform.AVIF, Width: 50}, []string{"load", "fit", "pixels", "encode"}},
		{"within bytes", photo, transform.Spec{Format: transform.WebP, Width: 100, MaxBytes: 1500}, []string{"load", "fit", "pixels", "encode"}},
		{"moving", moving, transform.Spec{Format: transform.WebP, Width: 30}, []string{"load", "fit", "pixels", "encode"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin := time.Now()
			told, err := engine.Render(transform.WithStages(t.Context()), test.source, test.spec)
			elapsed := time.Since(begin)
			if err != nil {
				t.Fatal(err)
			}
			plain := mustRender(t, test.source, test.spec)
			if plain.Stages != nil || !bytes.Equal(told.Body, plain.Body) {
				t.Errorf("%d stages unasked, %d bytes and %d", len(plain.Stages), len(told.Body), len(plain.Body))
			}
			var names []string
			sum := time.Duration(0)
			for _, s := range told.Stages {
				names, sum = append(names, s.Name), sum+s.Took
				if s.Took < 0 || slices.Contains([]string{"load", "encode"}, s.Name) && s.Took == 0 {
					t.Errorf("%s took %s", s.Name, s.Took)
				}
			}
			if diff := cmp.Diff(test.want, names); diff != "" {
				t.Error(diff)
			}
			if sum > elapsed || sum < elapsed/4 {
				t.Errorf("%s of %s are told", sum, elapsed)
			}
		})
	}
}

// TestStagesOfEverything: no format's and no option's bytes depend on who asks what took how long.
func TestStagesOfEverything(t *testing.T) {
	for in, source := range sources(t, testimage.Alpha(90, 60)) {
		for _, out := range transform.OutputFormats() {
			spec := transform.Spec{Format: out, Width: 60}
			told, err := engine.Render(transform.WithStages(t.Context()), source, spec)
			if err != nil {
				t.Fatal(err)
			}
			if plain := mustRender(t, source, spec); !bytes.Equal(told.Body, plain.Body) {
				t.Errorf("%s to %s: other bytes", in, out)
			}
		}
	}
}
