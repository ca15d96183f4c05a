package proxy

import (
	"context"
	"encoding/json"
	"image"
	"image/color"
	"strings"
	"sync"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"

	"github.com/google/go-cmp/cmp"
)

// painter is an Engine that gives every rendering the same small picture, and keeps what it was asked.
type painter struct {
	picture []byte

	mu    sync.Mutex
	specs []string
}

func (p *painter) Render(_ context.Context, _ []byte, spec transform.Spec) (*transform.Picture, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.specs = append(p.specs, spec.String())
	return &transform.Picture{Body: p.picture, Format: transform.PNG, Width: 10, Height: 8, Frames: 1}, nil
}

func (p *painter) Writes(transform.Format) bool { return true }

// asked returns the Specs rendered so far and forgets them.
func (p *painter) asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	specs := p.specs
	p.specs = nil
	return specs
}

func newPaintedEdge(t *testing.T) (*edge, *painter) {
	t.Helper()
	e := newEdge(t)
	red := color.NRGBA{R: 255, A: 255}
	p := &painter{picture: testimage.PNG(testimage.Flat(10, 8, red))}
	e.proxy.Engine = p
	return e, p
}

func TestInfo(t *testing.T) {
	e, engine := newPaintedEdge(t)
	turned := testimage.WithEXIF(cat(), 6)
	e.keep("cat", turned)
	first := e.do("GET", "/cat.json")
	first.want(t, 200, "Content-Type", "application/json", "Cache-Control", "public, max-age=3600", "Cache-Status", "fwd=miss; stored; detail=render",
		"Access-Control-Allow-Origin", "*", "Vary", "")
	var got sourceInfo
	if err := json.Unmarshal([]byte(first.body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Version == "" || got.Placeholder.ThumbHash == "" || got.Placeholder.BlurHash == "" {
		t.Errorf("something is missing in %s", first.body)
	}
	got.Version, got.Placeholder.ThumbHash, got.Placeholder.BlurHash = "", "", ""
	want := sourceInfo{
		Width: 48, Height: 64, Format: "jpeg", Frames: 1, Orientation: 6, Bytes: len(turned),
		Placeholder: placeholderInfo{Color: "#ff0000"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, field := range []string{
		"width", "height", "format", "frames", "orientation", "has_alpha", "bytes", "version", "placeholder", "thumbhash", "blurhash", "color",
	} {
		if !strings.Contains(first.body, `"`+field+`":`) {
			t.Errorf("no %s in %s", field, first.body)
		}
	}
	tag := first.Header.Get("Etag")
	e.do("GET", "/cat.JSON").want(t, 200, "Cache-Status", "Deckle; hit", "Etag", tag)
	e.do("GET", "/cat.json", "If-None-Match", tag).want(t, 304, "Etag", tag, "Cache-Control", "max-age=3600")
	e.do("GET", "/cat.json?v=2").want(t, 200, "Cache-Control", "immutable")
	head := e.do("HEAD", "/cat.json")
	head.want(t, 200, "Content-Type", "application/json", "Etag", tag)
	if head.ContentLength != int64(len(first.body)) || head.body != "" {
		t.Errorf("HEAD says %d bytes and sent %d, want %d and none", head.ContentLength, len(head.body), len(first.body))
	}
	if diff := cmp.Diff([]string{"_100_100.png"}, engine.asked()); diff != "" {
		t.Error(diff)
	}
	e.do("GET", "/dog.json").want(t, 404, "Content-Type", "application/problem+json")
	e.do("GET", "/cat_30_20.json").want(t, 400)
	e.keep("page", []byte("<html>"))
	e.do("GET", "/page.json").want(t, 415)
}

func TestInfoOfAnimationWithAlpha(t *testing.T) {
	e, _ := newPaintedEdge(t)
	e.keep("film", testimage.GIF(testimage.Alpha(20, 10), image.NewNRGBA(image.Rect(0, 0, 20, 10)), testimage.Quadrants(20, 10)))
	var got sourceInfo
	if err := json.Unmarshal([]byte(e.do("GET", "/film.json").body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Width != 20 || got.Height != 10 || got.Frames != 3 || !got.HasAlpha || got.Format != "gif" {
		t.Errorf("%+v", got)
	}
}

// TestPlaceholder: one kind only, of the picture as the URL shows it, whatever its scale and format.
func TestPlaceholder(t *testing.T) {
	e, engine := newPaintedEdge(t)
	e.keep("cat", cat())
	got := e.do("GET", "/cat_300_200.webp?fit=crop&placeholder=color")
	got.want(t, 200, "Content-Type", "application/json", "Cache-Status", "render")
	if got.body != `{"color":"#ff0000"}` {
		t.Errorf("body %s", got.body)
	}
	same := e.do("GET", "/cat_600_400_2x.avif?placeholder=color&quality=3&fit=crop&blur=true", "Accept", "image/webp")
	same.want(t, 200, "Cache-Status", "Deckle; ", "Etag", got.Header.Get("Etag"), "Vary", "")
	e.do("GET", "/cat_300_200.webp?fit=crop&placeholder=color", "If-None-Match", got.Header.Get("Etag")).want(t, 304)
	if diff := cmp.Diff([]string{"_100_67.png?fit=crop"}, engine.asked()); diff != "" {
		t.Error(diff)
	}
	kinds := map[string]bool{}
	for _, target := range []string{
		"/cat.jpg?placeholder=thumbhash", "/cat.jpg?placeholder=blurhash", "/cat.jpg?placeholder=color", "/cat_300_200.webp?fit=crop&placeholder=blurhash",
		"/cat.auto?placeholder=thumbhash", "/cat.json?placeholder=blurhash",
	} {
		got := e.do("GET", target, "Accept", "image/avif")
		var fields map[string]string
		if err := json.Unmarshal([]byte(got.body), &fields); err != nil || len(fields) != 1 || got.StatusCode != 200 {
			t.Errorf("%s: %s", target, got.body)
		}
		_, kind, _ := strings.Cut(target, "placeholder=")
		if fields[kind] == "" {
			t.Errorf("%s: %s", target, got.body)
		}
		kinds[got.Header.Get("Etag")] = true
	}
	if len(kinds) != 6 {
		t.Errorf("%d answers for 6 questions", len(kinds))
	}
	e.do("GET", "/cat_300_200.webp?placeholder=lqip").want(t, 400)
	e.do("GET", "/cat_5000_200.webp?placeholder=color").want(t, 307, "Location", "/cat_4096_200.webp?placeholder=color")
}

// TestRenderingThatIsNoPicture: what an engine gives back is not believed.
func TestRenderingThatIsNoPicture(t *testing.T) {
	e, engine := newPaintedEdge(t)
	e.keep("cat", cat())
	for _, picture := range [][]byte{[]byte("no picture"), testimage.PNG(testimage.Quadrants(200, 100)), {}} {
		engine.picture = picture
		e.do("GET", "/cat.json").want(t, 500, "Cache-Control", "no-store")
	}
}
