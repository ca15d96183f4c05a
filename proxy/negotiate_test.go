package proxy

import (
	"context"
	"slices"
	"strings"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"
)

func TestClassify(t *testing.T) {
	tests := []struct {
		name   string
		accept []string
		want   class
	}{
		{"nothing", nil, classOwn},
		{"empty", []string{""}, classOwn},
		{"anything", []string{"*/*"}, classOwn},
		{"any picture", []string{"image/*"}, classOwn},
		{"Chrome", []string{"image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"}, classAVIFWebP},
		{"Firefox", []string{"image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"}, classAVIFWebP},
		{"Safari 15", []string{"image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"}, classWebP},
		{"AVIF alone", []string{"image/avif"}, classAVIF},
		{"AVIF refused", []string{"image/avif;q=0,image/webp"}, classWebP},
		{"both refused", []string{"image/avif;q=0, image/webp;q=0.0"}, classOwn},
		{"WebP refused", []string{"image/avif,image/webp;q=0"}, classAVIF},
		{"WebP preferred", []string{"image/avif;q=0.5,image/webp;q=0.9"}, classWebP},
		{"equal weights", []string{"image/webp;q=0.5,image/avif;q=0.5"}, classAVIFWebP},
		{"the family preferred by a wildcard", []string{"image/webp;q=0.2,image/*;q=0.8"}, classOwn},
		{"the family preferred by all", []string{"image/webp;q=0.2,*/*"}, classOwn},
		{"the nearer wildcard counts", []string{"image/webp;q=0.5,image/*;q=0.1,*/*"}, classWebP},
		{"a part of the family preferred", []string{"image/webp;q=0.2,image/png"}, classWebP},
		{"the family named", []string{"image/webp;q=.2,image/jpeg,image/png,image/gif"}, classOwn},
		{"spaces and case", []string{" Image/WEBP ; Q=0.3 "}, classWebP},
		{"a name inside another", []string{"image/webpx,ximage/avif"}, classOwn},
		{"bad weights", []string{"image/avif;q=nan,image/webp;q=2"}, classOwn},
		{"more bad weights", []string{"image/avif;q=1.001,image/webp;q=-1"}, classOwn},
		{"other parameter", []string{"image/webp;v=1;q=0.4"}, classWebP},
		{"a separator in quotes", []string{`text/x;a="b,image/avif;c\"d,";q=0.1,image/webp`}, classWebP},
		{"the first element counts", []string{"image/webp;q=0,image/webp;q=1"}, classOwn},
		{"two lines", []string{"image/webp", "image/avif"}, classAVIFWebP},
		{"many digits", []string{"image/webp;q=0.00001"}, classOwn},
		{"least", []string{"image/webp;q=0.001"}, classWebP},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := classify(lines(test.accept)); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func lines(values []string) (lines [][]byte) {
	for _, value := range values {
		lines = append(lines, []byte(value))
	}
	return lines
}

func TestClassFormat(t *testing.T) {
	all := func(transform.Format) bool { return true }
	auto := transform.Spec{Format: transform.Auto}
	tests := []struct {
		name   string
		class  class
		spec   transform.Spec
		moving bool
		writes func(transform.Format) bool
		want   transform.Format
	}{
		{"own", classOwn, auto, false, all, transform.Auto},
		{"webp", classWebP, auto, false, all, transform.WebP},
		{"avif", classAVIF, auto, false, all, transform.AVIF},
		{"avif first", classAVIFWebP, auto, false, all, transform.AVIF},
		{"no AVIF encoder", classAVIFWebP, auto, false, func(f transform.Format) bool { return f != transform.AVIF }, transform.WebP},
		{"no encoder", classAVIFWebP, auto, false, func(transform.Format) bool { return false }, transform.Auto},
		{"animation", classAVIFWebP, auto, true, all, transform.WebP},
		{"animation, AVIF alone", classAVIF, auto, true, all, transform.Auto},
		{"animation stilled", classAVIFWebP, transform.Spec{Format: transform.Auto, Still: true}, true, all, transform.AVIF},
		{"a page of it", classAVIFWebP, transform.Spec{Format: transform.Auto, Page: 3}, true, all, transform.AVIF},
		{"lossless", classAVIFWebP, transform.Spec{Format: transform.Auto, Lossless: true}, false, all, transform.WebP},
		{"png opting in", classWebP, transform.Spec{Format: transform.PNG}, false, all, transform.WebP},
	}
	for _, test := range tests {
		if got := test.class.format(test.spec, test.moving, test.writes); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// FuzzClassify holds that a class follows from the header alone, whatever is in it: WebP and AVIF only where they are named.
func FuzzClassify(f *testing.F) {
	f.Add("image/avif,image/webp;q=0.8,*/*")
	f.Add(`;;;,,,q=",\`)
	f.Fuzz(func(t *testing.T, accept string) {
		got := classify(lines([]string{accept}))
		lower := strings.ToLower(accept)
		switch {
		case got >= numClasses:
			t.Errorf("%q gives class %d", accept, got)
		case got >= classAVIF && !strings.Contains(lower, "image/avif"), (got == classWebP || got == classAVIFWebP) && !strings.Contains(lower, "image/webp"):
			t.Errorf("%q gives class %d, whose format it does not name", accept, got)
		}
		if q := thousandths([]byte(accept)); q < 0 || q > 1000 {
			t.Errorf("%q gives the weight %d", accept, q)
		}
	})
}

// film is an animation of three frames.
func film() []byte {
	return testimage.GIF(testimage.Quadrants(32, 24), testimage.Quadrants(32, 24), testimage.Quadrants(32, 24))
}

// TestAnimationsMove: AVIF keeps one picture of an animation, so that a negotiated URL becomes WebP, on a node that knows the
// source and on one that does not; what asks for AVIF by name gets it, and neither is given the other's.
func TestAnimationsMove(t *testing.T) {
	const both, avifOnly = "image/avif,image/webp", "image/avif"
	e := newEdge(t)
	e.keep("film", film())
	e.keep("cat", cat())
	first := e.do("GET", "/film_30_20.auto", "Accept", both)
	first.want(t, 200, "Content-Type", "image/webp", "Vary", "Accept")
	e.do("GET", "/film_30_20.webp").want(t, 200, "Content-Type", "image/webp", "Etag", first.Header.Get("Etag"))
	e.do("GET", "/film_30_20.auto", "Accept", both).want(t, 200, "Content-Type", "image/webp")
	if n := e.engine.renders.Load(); n != 1 {
		t.Errorf("%d renders of one picture", n)
	}
	e.do("GET", "/film_30_20.auto", "Accept", avifOnly).want(t, 200, "Content-Type", "image/jpeg")
	e.do("GET", "/film_30_20.auto?animate=false", "Accept", both).want(t, 200, "Content-Type", "image/avif")
	e.do("GET", "/film_30_20.auto?page=2", "Accept", both).want(t, 200, "Content-Type", "image/avif")
	e.do("GET", "/cat_30_20.auto", "Accept", both).want(t, 200, "Content-Type", "image/avif")
	named := e.do("GET", "/film_31_20.avif")
	named.want(t, 200, "Content-Type", "image/avif", "Vary", "")
	e.do("GET", "/film_31_20.avif", "If-None-Match", named.Header.Get("Etag")).want(t, 304)
	e.do("GET", "/film_31_20.auto", "Accept", both).want(t, 200, "Content-Type", "image/webp")

	// A node that has just started shares the tiers and knows nothing of the source.
	e.proxy.kinds, e.proxy.readings = newKinds(), newReadings()
	renders := e.engine.renders.Load()
	e.do("GET", "/film_31_20.auto", "Accept", both).want(t, 200, "Content-Type", "image/webp")
	e.do("GET", "/film_31_20.avif").want(t, 200, "Content-Type", "image/avif", "Etag", named.Header.Get("Etag"))
	if again := e.engine.renders.Load(); again != renders {
		t.Errorf("%d renders of what is there", again-renders)
	}
}

// TestNegotiatedAlike: a negotiated answer and the same by its explicit URL are one entry, and every class has one.
func TestNegotiatedAlike(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	var tags []string
	for _, accept := range []string{
		"image/avif,image/webp,*/*", "image/webp", "*/*", "image/avif", "image/avif;q=0.9", "image/webp;q=0.3,text/html", "", "image/png",
	} {
		got := e.do("GET", "/cat_30_20.auto", "Accept", accept)
		got.want(t, 200, "Vary", "Accept")
		tags = append(tags, got.Header.Get("Etag"))
	}
	slices.Sort(tags)
	if tags = slices.Compact(tags); len(tags) != 3 {
		t.Errorf("%d answers for three formats", len(tags))
	}
	e.do("GET", "/cat_30_20.avif").want(t, 200)
	e.do("GET", "/cat_30_20.webp").want(t, 200)
	if n := e.engine.renders.Load(); n != 3 {
		t.Errorf("%d renders, want 3", n)
	}
}

// TestVaryAlways: every answer of a negotiated URL says what it depends on.
func TestVaryAlways(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	tag := e.do("GET", "/cat_30_20.auto", "Accept", "image/webp").Header.Get("Etag")
	for _, test := range []struct {
		target string
		status int
		header []string
	}{
		{"/cat_30_20.auto", 304, []string{"Accept", "image/webp", "If-None-Match", tag}},
		{"/cat_30_20.auto", 412, []string{"If-Match", `"x"`}},
		{"/cat_30_20.auto", 416, []string{"Range", "bytes=99999-"}},
		{"/cat_30_20.auto", 206, []string{"Range", "bytes=1-2"}},
		{"/dog_30_20.auto", 404, nil},
		{"/cat_30_20.auto?fit=corp", 400, nil},
		{"/cat_30_20.AUTO?nonsense=1", 400, nil},
		{"/cat_30_20.png?allow_webp=true&fit=corp", 400, nil},
		{"/cat_9000_20.auto", 307, nil},
		{"/cat.auto", 200, nil},
		{"/cat_30_20.png?allow_webp=true", 200, nil},
	} {
		e.do("GET", test.target, test.header...).want(t, test.status, "Vary", "Accept")
	}
	for _, target := range []string{"/cat_30_20.webp", "/dog.jpg", "/cat.webp?fit=corp", "/cat_30_20.auto?placeholder=color"} {
		if got := e.do("GET", target).Header.Get("Vary"); got != "" {
			t.Errorf("%s: Vary is %q", target, got)
		}
	}
	e.engine.before = func(transform.Spec) error { return context.DeadlineExceeded }
	e.do("GET", "/cat_31_20.auto").want(t, 504, "Vary", "Accept", "Cache-Control", "no-store")
}

// TestAutoRedirect: with redirects no bytes are negotiated, the viewer is sent to the URL that names the format, and only its
// own cache may remember that.
func TestAutoRedirect(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	e.keep("film", film())
	e.keep("leaf", testimage.PNG(testimage.Alpha(20, 20)))
	e.proxy.AutoRedirect = true
	const both = "image/avif,image/webp"
	for _, test := range []struct{ target, accept, location string }{
		{"/cat_30_20.auto", both, "/cat_30_20.avif"},
		{"/cat_30_20_2x.AUTO?fit=crop&v=3", "image/webp", "/cat_30_20_2x.webp?fit=crop&v=3"},
		{"/cat_30_20.auto", "*/*", "/cat_30_20.jpg"},
		{"/cat.auto", "*/*", "/cat.jpg"},
		{"/film_30_20.auto", both, "/film_30_20.webp"},
		{"/film_30_20.auto", "*/*", "/film_30_20.gif"},
		{"/leaf_30_20.auto?download=a%20b.png", "", "/leaf_30_20.png?download=a%20b.png"},
		{"/cat_30_20.png?allow_webp=true&quality=7", "image/webp", "/cat_30_20.webp?quality=7"},
		{"/cat_30_20.png?allow_webp=true", "image/avif", "/cat_30_20.png"},
	} {
		got := e.do("GET", test.target, "Accept", test.accept)
		got.want(t, 302, "Cache-Control", "private, max-age=60", "Vary", "Accept")
		if location := got.Header.Get("Location"); location != test.location {
			t.Errorf("%s for %s: %s, want %s", test.target, test.accept, location, test.location)
		}
		e.do("GET", test.location).want(t, 200, "Vary", "")
	}
	e.do("GET", "/dog.auto").want(t, 404, "Vary", "Accept")
	e.do("GET", "/cat_30_20.webp").want(t, 200)
}

func TestNegotiation(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	tests := []struct{ target, accept, mediaType string }{
		{"/cat_30_20.auto", "image/avif,image/webp", "image/avif"},
		{"/cat_30_20.auto", "image/webp,*/*", "image/webp"},
		{"/cat_30_20.auto", "*/*", "image/jpeg"},
		{"/cat_30_20.png?allow_webp=true", "image/avif,image/webp", "image/webp"},
		{"/cat_30_20.png?allow_webp=true", "image/avif", "image/png"},
		{"/cat_30_20.auto?lossless=true", "image/avif,image/webp", "image/webp"},
	}
	for _, test := range tests {
		e.do("GET", test.target, "Accept", test.accept).want(t, 200, "Content-Type", test.mediaType, "Vary", "Accept")
	}
	e.do("GET", "/cat_30_20.png", "Accept", "image/webp").want(t, 200, "Content-Type", "image/png", "Vary", "")
}
