package proxy

import (
	"errors"
	"strings"
	"testing"

	"deckle/origin"
	"deckle/transform"

	"github.com/google/go-cmp/cmp"
)

var defaultRules = Rules{Ignore: []string{"v", "_", "utm_*", "fbclid", "gclid"}}

func TestParseRequest(t *testing.T) {
	webp := func(w, h int) transform.Spec { return transform.Spec{Format: transform.WebP, Width: w, Height: h} }
	tests := []struct {
		target string
		want   Request
	}{
		{"/cat.jpg", Request{Source: "cat", Spec: transform.Spec{Format: transform.JPEG}}},
		{"/cat_300_200_2x.webp", Request{Source: "cat", Spec: webp(600, 400), Dense: true}},
		{"/cat_300_200_1.5x.WEBP", Request{Source: "cat", Spec: webp(450, 300), Dense: true}},
		{"/my_cat_0_200.webp", Request{Source: "my_cat", Spec: webp(0, 200)}},
		{"/shop/6e0/cat_300_0.webp", Request{Source: "shop/6e0/cat", Spec: webp(300, 0)}},
		{"/k%C3%A4tzchen_300_200.webp", Request{Source: "kätzchen", Spec: webp(300, 200)}},
		{"/%E7%8C%AB.webp", Request{Source: "猫", Spec: webp(0, 0)}},
		{"/%63at_300_200.webp", Request{Source: "cat", Spec: webp(300, 200)}},
		{"/cat%5f300_200.webp", Request{Source: "cat", Spec: webp(300, 200)}},
		{"/cat_300_200%2ewebp", Request{Source: "cat", Spec: webp(300, 200)}},
		{"/cat~1-2_3_4.webp", Request{Source: "cat~1-2", Spec: webp(3, 4)}},
		{"/cat.v2_3_4.webp", Request{Source: "cat.v2", Spec: webp(3, 4)}},
		{"/a/b/c/d/e/f/g/h.webp", Request{Source: "a/b/c/d/e/f/g/h", Spec: webp(0, 0)}},
		{"/cat_3_4.webp?v=17", Request{Source: "cat", Spec: webp(3, 4), Versioned: true}},
		{"/cat_3_4.webp?utm_source=x&fbclid=y&gclid=z&_=1", Request{Source: "cat", Spec: webp(3, 4)}},
		{"/cat_3_4.webp?proxy=true", Request{Source: "cat", Spec: webp(3, 4), Bytes: true}},
		{"/cat_3_4.webp?proxy=false", Request{Source: "cat", Spec: webp(3, 4)}},
		{"/my_box.webp", Request{Source: "my_box", Spec: webp(0, 0)}},
		{"/my_box_3_4.webp", Request{Source: "my_box", Spec: webp(3, 4)}},
		{"/cat_3_4.png?allow_webp=true", Request{Source: "cat", Spec: transform.Spec{Format: transform.PNG, Width: 3, Height: 4}, WebPOnly: true}},
		{"/cat_3_4.png?allow_webp=false", Request{Source: "cat", Spec: transform.Spec{Format: transform.PNG, Width: 3, Height: 4}}},
		{"/cat_3_4.auto?allow_webp=true", Request{Source: "cat", Spec: transform.Spec{Format: transform.Auto, Width: 3, Height: 4}}},
		{"/cat_3_4.webp?fit=crop&gravity=north&blur=true", Request{Source: "cat", Spec: transform.Spec{
			Format: transform.WebP, Width: 3, Height: 4, Fit: transform.FitCrop, Gravity: transform.North, Blur: 700}}},
		{"/_health2.webp", Request{Source: "_health2", Spec: webp(0, 0)}},
		{"/tokens.webp", Request{Source: "tokens", Spec: webp(0, 0)}},
		{"/cat.json", Request{Source: "cat", Want: WantInfo}},
		{"/shop/my_cat.JSON", Request{Source: "shop/my_cat", Want: WantInfo}},
		{"/photo_300_200_0_0.json?v=3", Request{Source: "photo_300_200", Want: WantInfo, Versioned: true}},
		{"/cat_3_4.webp?placeholder=BlurHash", Request{Source: "cat", Spec: webp(3, 4), Want: WantBlurHash}},
		{"/cat_3_4.auto?allow_webp=true&placeholder=color", Request{
			Source: "cat", Spec: transform.Spec{Format: transform.Auto, Width: 3, Height: 4}, Want: WantColor}},
		{"/cat_3_4.webp?download=my%20cat.webp", Request{Source: "cat", Spec: webp(3, 4), Download: "my cat.webp"}},
		{"/cat.json?download=facts.json", Request{Source: "cat", Want: WantInfo, Download: "facts.json"}},
	}
	for _, test := range tests {
		t.Run(test.target, func(t *testing.T) {
			path, query, _ := strings.Cut(test.target, "?")
			got, err := ParseRequest(path, query, defaultRules)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Sized = test.want.Spec.Size() != ""
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// hostilePaths leave the grammar of ids: none may reach a store.
var hostilePaths = []string{
	"", "/", "//", "/.", "/..", "/.jpg", "/..jpg", "/...jpg", "//cat.jpg", "/cat/.jpg", "/cat//dog.jpg", "/./cat.jpg",
	"/../cat.jpg", "/../../etc/passwd.jpg", "/a/../cat.jpg", "/a/./cat.jpg", "/a/.hidden.jpg", "/.tmp/x.jpg",
	"/%2e%2e/cat.jpg", "/%2E%2E/%2e%2e/cat.jpg", "/a/%2e%2e/cat.jpg", "/%2e/cat.jpg", "/%252e%252e/cat.jpg",
	"/a%2fb.jpg", "/a%2Fb.jpg", "/%2fetc%2fpasswd.jpg", "/..%2fcat.jpg", "/..%252fcat.jpg", "/a%5cb.jpg", `/a\b.jpg`, `/..\..\cat.jpg`,
	"/cat%00.jpg", "/cat\x00.jpg", "/%00.jpg", "/cat.jpg%00.png", "/cat%0a.jpg", "/cat%0d%0aSet-Cookie:x.jpg", "/cat%7f.jpg",
	"/cat%.jpg", "/cat%2.jpg", "/cat%zz.jpg", "/cat%u002e.jpg", "/%c0%ae%c0%ae/cat.jpg", "/%e0%80%af.jpg", "/%ff.jpg", "/caf\xe9.jpg",
	"/%ef%bc%8e%ef%bc%8e/cat.jpg", "/%ef%bc%8fetc.jpg", "/e%CC%81.jpg", "/cat%20dog.jpg", "/cat dog.jpg", "/cat:dog.jpg", "/cat*.jpg", "/cat$.jpg",
	"/C:/cat.jpg", "/cat@dog.jpg", "/cat,dog.jpg", "/cat;dog.jpg", "/<script>.jpg", "/cat'.jpg", "/cat\".jpg", "/cat|dog.jpg",
	"/a/b/c/d/e/f/g/h/i.jpg", "/" + strings.Repeat("a", 129) + ".jpg", "/" + strings.Repeat("a/", 200) + "b.jpg",
	"/" + strings.Repeat("a", 10<<10) + ".jpg", "/" + strings.Repeat("%61", 300) + ".jpg", "/token/cat.jpg", "/robots.txt/cat.jpg",
	"/_health/cat.jpg", "/token.jpg", "/favicon.ico/x.jpg", "/" + strings.Repeat(strings.Repeat("a", 100)+"/", 3) + "b.jpg",
}

func TestParseRequestHostile(t *testing.T) {
	for _, path := range hostilePaths {
		t.Run(path[:min(40, len(path))], func(t *testing.T) {
			got, err := ParseRequest(path, "", defaultRules)
			if status, _ := StatusOf(err); err == nil || got != (Request{}) || (status != 404 && status != 400) {
				t.Errorf("got %+v, %v, which is a %d", got, err, status)
			}
		})
	}
}

func TestUploadID(t *testing.T) {
	tests := map[string]string{
		"/cat": "cat", "/cat.jpg": "cat", "/cat.JPEG": "cat", "/cat.v2": "cat.v2", "/cat.auto": "cat.auto",
		"/cat_300_200.jpg": "cat_300_200", "/a/b.webp": "a/b", "/k%C3%A4tzchen": "kätzchen",
	}
	for path, want := range tests {
		if got, err := uploadID(path); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
	}
	for _, path := range hostilePaths {
		if strings.HasPrefix(path, "/token.") {
			continue // without the extension it is reserved, which the loop below covers
		}
		if id, err := uploadID(path); err == nil {
			t.Errorf("%.60q is taken as %q", path, id)
		}
	}
	for _, path := range []string{"/token", "/token.jpg", "/_health", "/robots.txt"} {
		if id, err := uploadID(path); err == nil {
			t.Errorf("%s is reserved and was taken as %q", path, id)
		}
	}
}

// TestParseRequestRefuses: options about the answer are as strict as those of a Spec, and name the remedy.
func TestParseRequestRefuses(t *testing.T) {
	tests := []struct{ target, option, says string }{
		{"/cat_300_200.json", "extension", "_0_0.json"},
		{"/cat.json?fit=crop&quality=7", "extension", "without size and options"},
		{"/cat.jpg?placeholder=lqip", "placeholder", "thumbhash, blurhash or color"},
		{"/cat.jpg?placeholder=", "placeholder", "thumbhash"},
		{"/cat.jpg?placeholder=color&placeholder=color", "placeholder", "twice"},
		{"/cat.jpg?download=a&download=b", "download", "twice"},
		{"/cat.jpg?download=", "download", "name of a file"},
		{"/cat.jpg?download", "download", "name of a file"},
		{"/cat.jpg?download=a%0d%0aSet-Cookie:x", "download", "control"},
		{"/cat.jpg?download=a%00", "download", "control"},
		{"/cat.jpg?download=..%2Fa", "download", "slashes"},
		{"/cat.jpg?download=a%5Cb", "download", "slashes"},
		{"/cat.jpg?download=a%E2%80%AEgpj.exe", "download", "control"},
		{"/cat.jpg?download=%ff", "download", "control"},
		{"/cat.jpg?download=%zz", "download", "%25"},
		{"/cat.jpg?download=" + strings.Repeat("a", 256), "download", "255"},
		{"/cat.jpg?preset=", "preset", "name of a configured"},
		{"/cat.jpg?preset=thumb", "preset", "no presets are configured"},
	}
	for _, test := range tests {
		path, query, _ := strings.Cut(test.target, "?")
		_, err := ParseRequest(path, query, defaultRules)
		var spec *transform.SpecError
		if !errors.As(err, &spec) || spec.Option != test.option || !strings.Contains(spec.Hint, test.says) || len(spec.Value) > 100 {
			t.Errorf("%.60s: %v", test.target, err)
		}
	}
}

// TestManyFlags: an option that is passed over costs the same however often a query names it, so that what a query costs grows
// with its length and not with the square of it.
func TestManyFlags(t *testing.T) {
	for _, flag := range []string{"proxy=a", "allow_webp"} {
		query := strings.TrimSuffix(strings.Repeat(flag+"&", 1000), "&")
		allocations := testing.AllocsPerRun(3, func() {
			if r, err := ParseRequest("/cat.jpg", query, defaultRules); err != nil || r.Bytes || r.WebPOnly {
				t.Errorf("%+v, %v", r, err)
			}
		})
		if allocations > 100 {
			t.Errorf("%s a thousand times: %v allocations", flag, allocations)
		}
	}
	r, err := ParseRequest("/cat.jpg", "proxy&proxy=true&allow_webp=true&proxy=0&allow_webp", defaultRules)
	if err != nil || !r.Bytes || !r.WebPOnly {
		t.Errorf("%+v, %v", r, err)
	}
}

// FuzzParseRequest holds that whatever is accepted names a source within the grammar, and that the canonical URL reads the
// same again.
func FuzzParseRequest(f *testing.F) {
	f.Add("/cat_300_200_2x.webp", "fit=crop&v=1")
	f.Add("/k%C3%A4tzchen.jpg", "allow_webp=true&quality=7")
	f.Add("/cat.json", "placeholder=color&download=%E2%82%AC.json")
	f.Add("/cat.webp", "preset=thumb&gravity=south")
	for _, path := range hostilePaths {
		f.Add(path, "")
	}
	rules := defaultRules
	var err error
	if rules.Presets, err = ParsePresets("thumb=_300_200?fit=crop&gravity=north;soft=blur=true", 4096); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		r, err := ParseRequest(path, query, rules)
		if err != nil {
			if status, _ := StatusOf(err); status != 400 && status != 404 {
				t.Fatalf("%q?%q: status %d for %v", path, query, status, err)
			}
			return
		}
		if err := origin.CheckID(r.Source); err != nil {
			t.Fatalf("%q gives the id %q: %v", path, r.Source, err)
		}
		size := r.Spec.Size()
		if size == "" {
			size = "_0_0"
		}
		_, options, _ := strings.Cut(r.Spec.String(), "?")
		canonical := "/" + encodeID(r.Source) + size + "." + r.Spec.Format.Ext()
		if r.Spec.Format == transform.Source {
			canonical += "json"
		}
		if name := placeholderNames[r.Want]; name != "" {
			options += "&placeholder=" + name
		}
		again, err := ParseRequest(canonical, options, Rules{})
		if err != nil || again.Source != r.Source || again.Spec != r.Spec || again.Want != r.Want {
			t.Fatalf("%q?%q reads as %+v, but its canonical %q?%q as %+v, %v", path, query, r, canonical, options, again, err)
		}
	})
}
