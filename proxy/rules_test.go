package proxy

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"deckle/transform"

	"github.com/google/go-cmp/cmp"
)

func presets(t testing.TB, text string) Presets {
	t.Helper()
	p, err := ParsePresets(text, 4096)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const somePresets = "thumb=_300_200?fit=crop&gravity=north; soft=blur=true&quality=60;small=_100_0"

// TestPresets: a request with a preset is the request that spells it out, and what is spelled out wins.
func TestPresets(t *testing.T) {
	rules := Rules{Ignore: defaultRules.Ignore, Presets: presets(t, somePresets)}
	tests := []struct{ preset, spelled string }{
		{"/cat.webp?preset=thumb", "/cat_300_200.webp?fit=crop&gravity=north"},
		{"/cat.webp?preset=thumb&gravity=south", "/cat_300_200.webp?fit=crop&gravity=south"},
		{"/cat_600_400.webp?preset=thumb", "/cat_600_400.webp?fit=crop&gravity=north"},
		{"/cat_600_0.webp?fit=clip&preset=thumb", "/cat_600_0.webp"},
		{"/cat_20_0.webp?preset=soft&quality=9", "/cat_20_0.webp?quality=9&blur=7"},
		{"/cat_20_0.png?preset=soft", "/cat_20_0.png?blur=7"},
		{"/cat.jpg?preset=small", "/cat_100_0.jpg"},
		{"/cat.jpg?preset=small&placeholder=color", "/cat_100_0.jpg?placeholder=color"},
		{"/cat.jpg?%70reset=small&v=3", "/cat_100_0.jpg?v=3"},
	}
	for _, test := range tests {
		path, query, _ := strings.Cut(test.preset, "?")
		got, err := ParseRequest(path, query, rules)
		if err != nil {
			t.Errorf("%s: %v", test.preset, err)
			continue
		}
		path, query, _ = strings.Cut(test.spelled, "?")
		want, err := ParseRequest(path, query, Rules{Ignore: defaultRules.Ignore})
		if err != nil {
			t.Fatal(err)
		}
		want.Sized = got.Sized // where the size stands is all that differs
		if diff := cmp.Diff(want, got); diff != "" || want.variant() != got.variant() {
			t.Errorf("%s: %s", test.preset, diff)
		}
	}
	for target, says := range map[string]string{
		"preset=thump":                       "did you mean thumb?",
		"preset=THUMB":                       "did you mean thumb?",
		"preset=thumb&preset=soft":           "twice",
		"preset=thumb&gravity=nrth":          "did you mean north?",
		"preset=thumb&fit=clip&download=%2f": "slashes",
	} {
		var spec *transform.SpecError
		if _, err := ParseRequest("/cat.webp", target, rules); !errors.As(err, &spec) || !strings.Contains(spec.Hint, says) {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestParsePresetsRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"thumb":                             "name=options",
		"=fit=crop":                         "name of a-z",
		"Thumb=fit=crop":                    "name of a-z",
		"a b=fit=crop":                      "name of a-z",
		"thumb=":                            "asks for nothing",
		"thumb=fit=clip":                    "asks for nothing",
		"thumb=fit=corp":                    "did you mean clip?",
		"thumb=fti=crop":                    "did you mean fit?",
		"thumb=_300":                        "_{w}_{h}",
		"thumb=_300_200.webp":               "the URL's own",
		"thumb=_5000_200":                   "at most 4096",
		"thumb=preset=other":                "unknown option",
		"thumb=quality=7;thumb=blur=1":      "twice",
		"thumb=_30_20?fit=crop;x=blur=":     "sigma",
		strings.Repeat("a", 65) + "=blur=1": "name of a-z",
	} {
		if _, err := ParsePresets(text, 4096); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: %v, want %q in it", text, err, says)
		}
	}
	if p := presets(t, " ; "); len(p.names()) != 0 {
		t.Errorf("nothing gives %v", p.names())
	}
}

// FuzzParsePresets: what is accepted can be asked for by name, and gives a Spec within the bounds.
func FuzzParsePresets(f *testing.F) {
	f.Add(somePresets, "gravity=south")
	f.Add("a=_1_1;b=?blur=true", "")
	f.Fuzz(func(t *testing.T, text, query string) {
		p, err := ParsePresets(text, 4096)
		if err != nil {
			return
		}
		for _, name := range p.names() {
			r, err := ParseRequest("/cat.png", "preset="+url.QueryEscape(name), Rules{Presets: p})
			var spec *transform.SpecError
			if err != nil && !errors.As(err, &spec) {
				t.Fatalf("preset %q of %q: %v", name, text, err)
			}
			if max(r.Spec.Width, r.Spec.Height) > 4096 {
				t.Fatalf("preset %q of %q is %v", name, text, r.Spec)
			}
			if _, err := ParseRequest("/cat.png", "preset="+name+"&"+query, Rules{Presets: p}); err != nil && !errors.As(err, &spec) {
				t.Fatalf("preset %q of %q with %q: %v", name, text, query, err)
			}
		}
	})
}

func TestPresetsOnly(t *testing.T) {
	rules := Rules{Ignore: defaultRules.Ignore, Presets: presets(t, somePresets), PresetsOnly: true}
	for target, option := range map[string]string{
		"/cat.webp": "", "/cat.jpg?v=1&utm_source=x": "", "/cat.webp?preset=thumb": "", "/cat.json": "", "/cat_0_0.jpg": "",
		"/cat.auto?preset=soft&download=cat&allow_webp=true&proxy=true": "", "/cat.jpg?placeholder=color": "",
		"/cat_300_200.webp": "size", "/cat_300_0_2x.webp?preset=thumb": "size", "/cat.webp?fit=crop": "fit",
		"/cat.webp?preset=thumb&gravity=south": "gravity", "/cat.webp?nonsense=1": "nonsense", "/cat.webp?%71uality=3": "quality",
		"/cat.webp?preset=none": "preset",
	} {
		path, query, _ := strings.Cut(target, "?")
		_, err := ParseRequest(path, query, rules)
		var spec *transform.SpecError
		switch {
		case option == "" && err != nil:
			t.Errorf("%s: %v", target, err)
		case option != "" && (!errors.As(err, &spec) || spec.Option != option || !strings.Contains(spec.Hint, "preset")):
			t.Errorf("%s: %v, want a refusal of %s", target, err, option)
		}
	}
}

func TestLadder(t *testing.T) {
	l, err := ParseLadder([]string{"800", "200", "400", "200"}, 4096)
	if err != nil {
		t.Fatal(err)
	}
	for spec, want := range map[string]string{
		"_200_400.webp": "_200_400.webp", "_1_0.webp": "_200_0.webp", "_201_399.webp?fit=crop": "_400_400.webp?fit=crop",
		"_0_900.webp": "_0_800.webp", "_99999_1.webp": "_800_200.webp", ".webp": ".webp",
	} {
		s, err := transform.Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		got, changed := l.Climb(s)
		if got.String() != want || changed != (spec != want) {
			t.Errorf("%s: %s, changed %v; want %s", spec, got, changed, want)
		}
		if again, changed := l.Climb(got); changed || again != got {
			t.Errorf("%s: a rung is climbed from: %s", got, again)
		}
	}
	for _, sides := range [][]string{{"0"}, {"-5"}, {"x"}, {"4097"}, {"200", ""}} {
		if _, err := ParseLadder(sides, 4096); err == nil {
			t.Errorf("%q was taken", sides)
		}
	}
	var none Ladder
	if s, changed := none.Climb(transform.Spec{Width: 3}); changed || s.Width != 3 {
		t.Error("no ladder has a rung")
	}
}

// TestLadderServed: a size between two rungs is redirected, or snapped, so that a stranger makes no more variants than there
// are rungs.
func TestLadderServed(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	e.proxy.Sizes = Ladder{20, 40, 80}
	e.proxy.Presets = presets(t, "odd=_33_33?fit=crop")
	got := e.do("GET", "/cat_30_10_2x.webp?fit=cover&v=2")
	got.want(t, 307, "Location", "/cat_80_20.webp?fit=cover&v=2", "X-Redirect-Info", "[20 40 80]", "Cache-Control", "max-age")
	e.do("GET", got.Header.Get("Location")).want(t, 200, "Cache-Status", "detail=render")
	e.do("GET", "/cat_9999_0.webp").want(t, 307, "Location", "/cat_80_0.webp")
	e.do("GET", "/cat.webp?preset=odd").want(t, 200)
	e.do("GET", "/cat.jpg").want(t, 200, "Cache-Status", "original")

	snapped := newEdge(t)
	snapped.keep("cat", cat())
	snapped.proxy.Sizes, snapped.proxy.Snap = Ladder{20, 40, 80}, true
	for _, target := range []string{"/cat_21_0.webp", "/cat_20_0_2x.webp", "/cat_35_0.webp"} {
		if got := snapped.do("GET", target); got.StatusCode != 200 || !strings.HasPrefix(got.body, "_40_0.webp") {
			t.Errorf("%s: %d %s", target, got.StatusCode, got.body)
		}
	}
	if n := snapped.engine.renders.Load(); n != 1 {
		t.Errorf("%d renders for one rung", n)
	}
}
