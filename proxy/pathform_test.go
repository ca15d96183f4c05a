package proxy

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"deckle/origin"
	"deckle/transform"

	"github.com/google/go-cmp/cmp"
)

// allNamespaces are rules under which any first segment is a namespace, and keys have suffixes.
func allNamespaces(t testing.TB) Rules {
	t.Helper()
	rules := defaultRules
	var err error
	if rules.Namespaces, err = ParseNamespaces([]string{"*"}); err != nil {
		t.Fatal(err)
	}
	if rules.Suffixes, err = ParseSuffixes("BI=_1500_1500?quality=90;MI=_400_400?quality=90;SI=_200_200?fit=crop&quality=90", 4096); err != nil {
		t.Fatal(err)
	}
	return rules
}

const hashed = "/photos/6e0/072/682/e66287b662827da75b244a3"

// TestPathForm: what the path form asks for is what the file name form asks for.
func TestPathForm(t *testing.T) {
	rules := allNamespaces(t)
	tests := []struct{ path, same string }{
		{"/300x200.jpg", "_300_200.jpg?fit=crop"},
		{"/x200.webp", "_200_200.webp?fit=crop"},
		{"/x200", "_200_200.jpg?fit=crop"},
		{"/w200-q70.webp", "_200_0.webp?quality=70"},
		{"/full_size.png", ".png"},
		{"/full_size-q40.jpg", ".jpg?quality=40"},
		{"/c0.050_0.640_0.390_0.920-w300-q70.jpg", "_300_0.jpg?crop=0.05:0.64:0.39:0.92&quality=70"},
		{"/x200.auto", "_200_200.auto?fit=crop"},
		{"/x200.webp?gravity=north&v=3", "_200_200.webp?fit=crop&gravity=north&v=3"},
		{"/x200.jpg?quality=30", "_200_200.jpg?fit=crop&quality=30"},
		{"/x200-q70.jpg?quality=30", "_200_200.jpg?fit=crop&quality=30"},
		{"/x200?allow_webp=true", "_200_200.jpg?fit=crop&allow_webp=true"},
		{"/x%3200.jpg", "_200_200.jpg?fit=crop"},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			got, err := parse(hashed+test.path, rules)
			if err != nil {
				t.Fatal(err)
			}
			want, err := parse(hashed+test.same, rules)
			if err != nil {
				t.Fatal(err)
			}
			if !got.ByPath || want.ByPath {
				t.Errorf("by path: %v, and %v in the other form", got.ByPath, want.ByPath)
			}
			got.ByPath = false
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if got.Source != hashed[1:] || got.variant() != want.variant() {
				t.Errorf("the keys are %s %s and %s %s", got.Source, got.variant(), want.Source, want.variant())
			}
		})
	}
}

func parse(target string, rules Rules) (Request, error) {
	path, query, _ := strings.Cut(target, "?")
	return ParseRequest(path, query, rules)
}

func TestPathFormFacts(t *testing.T) {
	r, err := parse(hashed+"/info.json", allNamespaces(t))
	if err != nil || r.Want != WantFacts || r.Source != hashed[1:] || r.variant() != "info.json" {
		t.Fatalf("%+v, %v", r, err)
	}
	if hash := hashOf(r.Source); hash != "6e0072682e66287b662827da75b244a3" {
		t.Errorf("the hash is %s", hash)
	}
	if _, err := parse(hashed+"/info.json?quality=3", allNamespaces(t)); err == nil {
		t.Error("facts were asked for with a quality")
	}
}

// TestNoPathForm: outside of the namespaces, and for what is no hash, a name is a name.
func TestNoPathForm(t *testing.T) {
	some := defaultRules
	var err error
	if some.Namespaces, err = ParseNamespaces([]string{"photos", "a_b-1"}); err != nil {
		t.Fatal(err)
	}
	all := allNamespaces(t)
	hash := strings.TrimPrefix(hashed, "/photos")
	for _, test := range []struct {
		path  string
		rules Rules
		id    string
	}{
		{hashed + "/x200.jpg", some, hashed[1:]},
		{"/a_b-1" + hash + "/x200.jpg", some, "a_b-1" + hash},
		{hashed + "/x200.jpg", defaultRules, hashed[1:] + "/x200"},
		{"/other" + hash + "/x200.jpg", some, "other" + hash + "/x200"},
		{"/other" + hash + "/x200.jpg", all, "other" + hash},
		{"/Photos" + hash + "/x200.jpg", all, "Photos" + hash + "/x200"},
		{"/tmp" + hash + "/x200.jpg", all, "tmp" + hash + "/x200"},
		{"/status_check" + hash + "/x200.jpg", all, "status_check" + hash + "/x200"},
		{"/photos/6E0/072/682/e66287b662827da75b244a3/x200.jpg", all, "photos/6E0/072/682/e66287b662827da75b244a3/x200"},
		{"/photos/6e0/072/682/e66287b662827da75b244a/x200.jpg", all, "photos/6e0/072/682/e66287b662827da75b244a/x200"},
		{"/photos/6e0/072/682/e66287b662827da75b244a3.jpg", all, "photos/6e0/072/682/e66287b662827da75b244a3"},
		{hashed + "/a/x200.jpg", all, hashed[1:] + "/a/x200"},
	} {
		r, err := parse(test.path, test.rules)
		if err != nil || r.Source != test.id {
			t.Errorf("%s is %q, %v; want %q", test.path, r.Source, err, test.id)
		}
		if id := test.rules.sourceOf(test.path); id != test.id {
			t.Errorf("%s is signed as %q, want %q", test.path, id, test.id)
		}
	}
	for path, want := range map[string]int{"/cat.jpg": 404, "/x200.zzz": 400, "/original": 404, "/c1_2_3_4.jpg": 400, "/process": 404} {
		if _, err := parse(hashed+path, all); err == nil {
			t.Errorf("%s was read", path)
		} else if status, _ := StatusOf(err); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	for _, bad := range []string{"Photos", "a/b", "", "token", "_health", "tmp", "status_check", "a.b", strings.Repeat("a", 129)} {
		if _, err := ParseNamespaces([]string{bad}); err == nil {
			t.Errorf("%.20q is a namespace", bad)
		}
	}
}

// TestPathFormPresetsOnly: a size in a path is one that comes from no preset.
func TestPathFormPresetsOnly(t *testing.T) {
	rules := allNamespaces(t)
	rules.PresetsOnly = true
	if _, err := parse(hashed+"/x200.jpg", rules); err == nil {
		t.Error("a free size was read")
	}
	if r, err := parse("/1795288247_3434917671MI.jpg", rules); err != nil || r.Spec.Width != 400 {
		t.Errorf("a suffix: %+v, %v", r, err)
	}
}

func TestSuffixes(t *testing.T) {
	rules := allNamespaces(t)
	const key = "/1795288247_3434917671"
	for path, same := range map[string]string{
		"BI.jpg": "_1500_1500.jpg?quality=90", "MI.webp": "_400_400.webp?quality=90", "SI.avif": "_200_200.avif?fit=crop&quality=90",
		"SI.png": "_200_200.png?fit=crop", "MI.jpg?quality=10": "_400_400.jpg?quality=10",
	} {
		got, err := parse(key+path, rules)
		want, wanted := parse(key+same, rules)
		want.Sized = false // a suffix's size is configured
		if diff := cmp.Diff(want, got); err != nil || wanted != nil || diff != "" {
			t.Errorf("%s: %v %v %s", path, err, wanted, diff)
		}
		if id := rules.sourceOf(strings.TrimSuffix(key+path, "?quality=10")); id != key[1:] {
			t.Errorf("%s is signed as %q", path, id)
		}
	}
	for path, id := range map[string]string{
		key + ".jpg": key[1:], key + "XX.jpg": key[1:] + "XX", key + "bi.jpg": key[1:] + "bi", "/1795288247_343491767BI.jpg": "1795288247_343491767BI",
		"/shop" + key + "BI.jpg": "shop" + key + "BI", key + "BI_30_40.jpg": key[1:] + "BI",
	} {
		if r, err := parse(path, rules); err != nil || r.Source != id {
			t.Errorf("%s is %q, %v; want %q", path, r.Source, err, id)
		}
	}
	for _, bad := range []string{"BI", "BI=", "B-I=_3_4", "BI=_3_4;BI=_4_3", "BI=_5000_1", "B=quality=1000", "BI=_3_4.jpg", strings.Repeat("B", 17) + "=_3_4"} {
		if _, err := ParseSuffixes(bad, 4096); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// TestPathFormBounds: who asks for too much is sent to a URL of the same form.
func TestPathFormBounds(t *testing.T) {
	e := newEdge(t)
	e.proxy.Rules = allNamespaces(t)
	for path, want := range map[string]string{
		"/w5000.jpg":                             "/w4096.jpg",
		"/8192x4096-q70":                         "/4096x2048-q70.jpg",
		"/x9000.webp?gray=true":                  "/x4096.webp?gray=true",
		"/c0.000_0.000_0.500_1.000-w9999-q7.jpg": "/c0.000_0.000_0.500_1.000-w4096-q7.jpg",
	} {
		e.do("GET", hashed+path).want(t, 307, "Location", hashed+want)
	}
	e.do("GET", "/cat_5000_0.jpg?gray=true").want(t, 307, "Location", "/cat_4096_0.jpg?gray=true")
}

// TestPathFormServes: both forms name one entry, which is rendered once.
func TestPathFormServes(t *testing.T) {
	e := newEdge(t)
	e.proxy.Rules = allNamespaces(t)
	e.keep(hashed[1:], cat())
	first := e.do("GET", hashed+"/32x24-q70.webp")
	first.want(t, 200, "Content-Type", "image/webp", "Cache-Status", "detail=render")
	for _, path := range []string{"/032x24-q070.webp", "_32_24.webp?fit=crop&quality=70", "_16_12_2x.webp?fit=crop&quality=70", "/32x24.webp?quality=70"} {
		again := e.do("GET", hashed+path)
		again.want(t, 200, "Cache-Status", "hit; detail=memory", "Etag", first.Header.Get("Etag"))
		if again.body != first.body {
			t.Errorf("%s is another picture", path)
		}
	}
	if n := e.engine.renders.Load(); n != 1 {
		t.Errorf("%d renders, want 1", n)
	}
	if whole := e.do("GET", hashed+"/full_size"); whole.body != string(cat()) || whole.Header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("the whole picture is %d bytes of %s", len(whole.body), whole.Header.Get("Content-Type"))
	}
}

// FuzzPathForm holds that what is read names a source within the grammar, and that its canonical spelling in the file name form
// is the same picture.
func FuzzPathForm(f *testing.F) {
	for _, last := range []string{"/x200.jpg", "/w30-q5", "/info.json", "/c0.050_0.640_0.390_0.920-w30.webp", "/%78200.jpg", "/../x200.jpg", "MI.jpg"} {
		f.Add(hashed+last, "quality=3")
		f.Add("/1795288247_3434917671"+last, "")
	}
	rules := allNamespaces(f)
	f.Fuzz(func(t *testing.T, path, query string) {
		r, err := ParseRequest(path, query, rules)
		if err != nil {
			var spec *transform.SpecError
			if status, _ := StatusOf(err); status != 400 && status != 404 || status == 400 && !errors.As(err, &spec) {
				t.Fatalf("%q?%q: %v", path, query, err)
			}
			return
		}
		if err := origin.CheckID(r.Source); err != nil {
			t.Fatalf("%q is the source %q: %v", path, r.Source, err)
		}
		if decoded, _ := url.PathUnescape(path); r.Source != rules.sourceOf(path) || !strings.HasPrefix(decoded, "/"+r.Source) {
			t.Fatalf("%q is the source %q, and is signed as %q", path, r.Source, rules.sourceOf(path))
		}
		if !r.ByPath || r.Want != WantPicture {
			return
		}
		size := r.Spec.Size()
		if size == "" {
			size = "_0_0"
		}
		_, options, _ := strings.Cut(r.Spec.String(), "?")
		same, err := ParseRequest("/"+r.Source+size+"."+r.Spec.Format.Ext(), options, rules)
		if err != nil || same.Spec != r.Spec || same.Source != r.Source {
			t.Fatalf("%q?%q is %+v, and in the other form %+v, %v", path, query, r, same, err)
		}
		bounded := inPathForm(path, r.Spec)
		again, err := ParseRequest(bounded, query, rules)
		if err != nil || again.Spec != r.Spec {
			t.Fatalf("%q?%q is %+v, and within its bounds %q, %+v, %v", path, query, r.Spec, bounded, again.Spec, err)
		}
	})
}

// TestPathFormPrivate: a private source needs a signature by whichever name its variants are asked for.
func TestPathFormPrivate(t *testing.T) {
	e, now := newSignedEdge(t, Signed{Private: []string{"photos", "1795288247_3434917671"}})
	e.proxy.Rules = allNamespaces(t)
	e.keep(hashed[1:], cat())
	e.keep("1795288247_3434917671", cat())
	for _, path := range []string{hashed + "/x20.jpg", hashed + "/x20", hashed + "/info.json", hashed + "/%78%320", "/1795288247_3434917671MI.jpg"} {
		for range 2 { // the second time it may be remembered
			e.do("GET", path).want(t, 401)
		}
	}
	for range 2 {
		e.do("GET", sign("GET", hashed+"/x20", hashed, now, time.Minute)).want(t, 200)
		e.do("GET", sign("GET", "/1795288247_3434917671MI.jpg", "/1795288247_3434917671", now, time.Minute)).want(t, 200)
		e.do("GET", hashed+"/x20").want(t, 401)
	}
}

// TestPathFormRedirects: where viewers are sent to a URL that names the format, it is one of the same form.
func TestPathFormRedirects(t *testing.T) {
	e := newEdge(t)
	e.proxy.Rules, e.proxy.AutoRedirect, e.proxy.ClientHints = allNamespaces(t), true, true
	e.keep(hashed[1:], cat())
	for path, want := range map[string]string{
		"/x20.auto":                      "/x20.webp",
		"/x20-q70.auto?v=3":              "/x20-q70.webp?v=3",
		"/x20?allow_webp=true":           "/x20.webp",
		"/20x10.png?allow_webp=true&v=3": "/20x10.webp?v=3",
	} {
		e.do("GET", hashed+path, "Accept", "image/webp").want(t, 302, "Location", hashed+want)
	}
	e.do("GET", hashed+"/20x10.auto", "Accept", "image/webp", "DPR", "2").want(t, 302, "Location", hashed+"/40x20.webp")
}
