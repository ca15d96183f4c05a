package transform

import (
	"errors"
	"strings"
	"testing"
)

func TestPageCanonical(t *testing.T) {
	tests := []struct{ in, want string }{
		{".webp?page=3", ".webp?page=3"},
		{".webp?page=1", ".webp?animate=false"}, // the first is what a still picture shows
		{".webp?animate=auto", ".webp"},
		{".webp?animate=FALSE", ".webp?animate=false"},
		{".gif?page=2&animate=false", ".gif?page=2"}, // a page is still by itself
		{".jpg?animate=false", ".jpg"},               // holds no animation
		{".avif?page=1", ".avif"},
		{".tif?page=12", ".tif?page=12"},
		{"?page=1", "?animate=false"},
		{".auto?animate=false", ".auto?animate=false"},
	}
	for _, tt := range tests {
		spec, err := Parse(tt.in)
		if err != nil || spec.String() != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.in, spec, err, tt.want)
		}
		again, err := Parse(spec.String())
		if err != nil || again != spec {
			t.Errorf("%s: read back as %+v, %v", tt.in, again, err)
		}
	}
}

func TestPageRefused(t *testing.T) {
	for query, hint := range map[string]string{
		"page=0": "the first is 1", "page=-1": "the first is 1", "page=01": "the first is 1", "page=10000": "the first is 1",
		"page=all": "the first is 1", "animate=true": "auto or false", "animate=": "auto or false",
	} {
		_, err := ParseQuery(Spec{}, query, nil)
		var wrong *SpecError
		if !errors.As(err, &wrong) || !strings.Contains(wrong.Hint, hint) {
			t.Errorf("%s: %v", query, err)
		}
	}
}
