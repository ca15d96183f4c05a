package proxy

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"deckle/cache"
	"deckle/transform"

	"github.com/google/go-cmp/cmp"
)

func TestTell(t *testing.T) {
	tests := []struct {
		policy        Policy
		fresh, failed string
	}{
		{Policy{}, "public, max-age=0", "no-store"},
		{Policy{MaxAge: time.Hour, ErrorMaxAge: 10 * time.Second}, "public, max-age=3600", "public, max-age=10"},
		{
			Policy{MaxAge: time.Minute, SharedMaxAge: time.Hour, StaleWhileRevalidate: 90 * time.Second, StaleIfError: 24 * time.Hour},
			"public, max-age=60, s-maxage=3600, stale-while-revalidate=90, stale-if-error=86400", "no-store",
		},
		{Policy{MaxAge: 1500 * time.Millisecond, StaleIfError: time.Millisecond, ErrorMaxAge: time.Millisecond}, "public, max-age=1", "no-store"},
	}
	for _, test := range tests {
		told := test.policy.tell()
		if string(told.fresh) != test.fresh || string(told.failed) != test.failed {
			t.Errorf("%+v: %q and %q", test.policy, told.fresh, told.failed)
		}
	}
}

func TestCheckCDN(t *testing.T) {
	for _, good := range []string{"", "max-age=86400", "max-age=60, stale-if-error=3600, must-revalidate", "no-store"} {
		if err := CheckCDN(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{",", "Max-Age=1", "max-age=", "max-age=1h", "max-age=-1", "a b", "max-age=1\r\nX: y", "=1", "1=1", "max-age=9999999999999999"} {
		if CheckCDN(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestTags(t *testing.T) {
	tests := map[string][]string{
		"cat":                {"cat"},
		"shop/shoes/red":     {"shop/shoes/red", "shop/", "shop/shoes/"},
		"kätzchen/猫":         {"k%C3%A4tzchen/%E7%8C%AB", "k%C3%A4tzchen/"},
		"../x":               nil,
		"a b":                nil,
		"a,b\r\nSet-Cookie:": nil,
		"":                   nil,
	}
	for source, want := range tests {
		if diff := cmp.Diff(want, Tags(source)); diff != "" {
			t.Errorf("%q: %s", source, diff)
		}
	}
	long := strings.TrimSuffix(strings.Repeat(strings.Repeat("猫", 10)+"/", 8), "/")
	if got := strings.Join(Tags(long), ","); len(got) > maxTags || !strings.HasPrefix(got, encodeID(long)+",") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

// FuzzTags holds that no tag holds what separates tags, and that all of them together are bounded.
func FuzzTags(f *testing.F) {
	f.Add("shop/shoes/red")
	f.Add("a b,c\n/d")
	f.Fuzz(func(t *testing.T, source string) {
		tags := Tags(source)
		if size := len(strings.Join(tags, ",")); size > maxTags {
			t.Errorf("%d bytes", size)
		}
		for _, tag := range tags {
			if tag == "" || strings.ContainsFunc(tag, func(c rune) bool { return c <= ' ' || c == ',' || c >= 0x7f }) {
				t.Errorf("%q of %q", tag, source)
			}
		}
	})
}

func TestTagsServed(t *testing.T) {
	e := newEdge(t)
	e.keep("shop/cat", cat())
	e.do("GET", "/shop/cat_30_20.webp").want(t, 200, "Surrogate-Key", "", "Cache-Tag", "", "CDN-Cache-Control", "")
	e.proxy.Tags, e.proxy.CDN = true, "max-age=7"
	e.proxy.told = e.proxy.tell()
	for target, status := range map[string]int{
		"/shop/cat_30_20.webp": 200, "/shop/cat.jpg": 200, "/shop/cat_9000_1.webp": 307, "/shop/cat_30_20.webp?v=1": 200,
	} {
		e.do("GET", target).want(t, status, "Surrogate-Key", "shop/cat shop/", "Cache-Tag", "shop/cat,shop/", "CDN-Cache-Control", "max-age=7")
	}
	e.do("GET", "/shop/dog_30_20.webp").want(t, 404, "Surrogate-Key", "shop/dog shop/", "CDN-Cache-Control", "")
	e.do("GET", "/shop/cat.webpp").want(t, 400, "Surrogate-Key", "")
	e.engine.before = func(transform.Spec) error { return context.DeadlineExceeded }
	e.do("GET", "/shop/cat_31_20.webp").want(t, 504, "Surrogate-Key", "", "Cache-Control", "no-store", "CDN-Cache-Control", "")
}

// statusMember is one member of Cache-Status: a token, and parameters whose values are tokens, integers or absent (RFC 9211
// section 2, RFC 8941 sections 3.1.2 and 4.1).
var statusMember = regexp.MustCompile(`^[A-Za-z*][A-Za-z0-9!#$%&'*+.^_|~:/` + "`" + `-]*(; ?[a-z*][a-z0-9_.*-]*(=([A-Za-z*][A-Za-z0-9!#$%&'*+.^_|~:/` + "`" + `-]*|-?[0-9]{1,15}))?)*$`)

func TestCacheStatusSyntax(t *testing.T) {
	for want, a := range map[string]*Access{
		"Deckle; hit; detail=memory":                 {From: "memory"},
		"Deckle; hit; detail=redis":                  {From: cache.FromShared, Outcome: cache.Outcome{Origin: "redis"}},
		"Deckle; fwd=miss; stored; detail=render":    {From: fromRender},
		"Deckle; fwd=miss; collapsed; detail=render": {From: cache.FromShared, Outcome: cache.Outcome{Origin: cache.FromFill}},
		"Deckle; fwd=bypass; detail=original":        {From: fromOriginal},
		string(statusValidator):                      {From: "validator"},
	} {
		if got := string(cacheStatus(nil, a)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if !statusMember.MatchString(want) {
			t.Errorf("%q is no structured field", want)
		}
		if strings.Contains(want, "hit") && (strings.Contains(want, "fwd") || strings.Contains(want, "collapsed")) {
			t.Errorf("%q: a hit was not forwarded", want)
		}
	}
}

// TestNoAge: an answer is as old as its Date says, whatever the clock was when its entry was made: there is no Age to be wrong.
func TestNoAge(t *testing.T) {
	for name, stored := range map[string]time.Time{
		"yesterday": time.Now().Add(-24 * time.Hour), "in an hour": time.Now().Add(time.Hour), "in a year": time.Now().Add(8766 * time.Hour), "never": {},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t)
			e.keep("cat", cat())
			info, err := e.proxy.Versions.Stat(t.Context(), "cat")
			if err != nil {
				t.Fatal(err)
			}
			key := cache.Key{Source: "cat", Version: info.Version, Variant: "_30_20.webp"}
			entry := cache.NewEntry(cache.Entry{Body: []byte("kept"), ContentType: "image/webp", ETag: etag(key, []byte("kept"))})
			entry.Stored = stored
			if _, _, err := e.proxy.Chain.Get(t.Context(), key, func(context.Context) (*cache.Entry, error) { return entry, nil }); err != nil {
				t.Fatal(err)
			}
			for held := (*cache.Entry)(nil); held == nil; { // memory takes it a moment later
				held, _ = e.proxy.Chain.First(t.Context(), key)
			}
			got := e.do("GET", "/cat_30_20.webp")
			got.want(t, 200, "Age", "", "Cache-Control", "public, max-age=3600", "Cache-Status", "Deckle; hit", "Etag", etag(key, []byte("kept")))
			if got.body != "kept" {
				t.Errorf("body %q", got.body)
			}
			date, err := time.Parse(time.RFC1123, got.Header.Get("Date"))
			if err != nil || time.Since(date).Abs() > time.Minute {
				t.Errorf("Date is %q", got.Header.Get("Date"))
			}
			e.do("GET", "/cat_30_20.webp", "If-None-Match", etag(key, []byte("kept"))).want(t, 304, "Age", "", "Cache-Control", "public, max-age=3600")
		})
	}
}

// TestOneEntry: every spelling of a picture is one render and one tag.
func TestOneEntry(t *testing.T) {
	groups := map[string][]string{
		"density":  {"/cat_300_200_2x.webp", "/cat_600_400.webp", "/cat_150_100_4x.webp", "/cat_600_400_1x.webp", "/cat_600_400_1.00x.WEBP", "/%63at_600_400.webp"},
		"defaults": {"/cat_60_40.jpg", "/cat_60_40.jpeg", "/cat_60_40.JFIF", "/cat_60_40.jpg?fit=clip", "/cat_60_40.jpg?quality=auto&enlarge=false&rotate=0&gray=false&blur=false&animate=auto", "/cat_60_40.jpg?brightness=100&contrast=100&saturation=100", "/cat_60_40.jpg?background=white", "/cat_60_40.jpg?gravity=center"},
		"order":    {"/cat_61_41.webp?fit=crop&gravity=north&quality=70", "/cat_61_41.webp?quality=70&gravity=north&fit=crop", "/cat_61_41.webp?gravity=NORTH&quality=70&&fit=Crop&utm_source=x", "/cat_61_41.webp?fit=crop&gravity=north&quality=70&_=9"},
		"answers":  {"/cat_62_42.png", "/cat_62_42.png?download=a.png", "/cat_62_42.png?v=1", "/cat_62_42.png?proxy=true", "/cat_62_42.png?quality=3", "/cat_62_42.png?lossless=true", "/cat_62_42.png?allow_webp=false"},
		"turns":    {"/cat_63_43.webp?rotate=180", "/cat_63_43.webp?flip=hv", "/cat_63_43.webp?flip=hv&rotate=0"},
		"blur":     {"/cat_64_44.webp?blur=true", "/cat_64_44.webp?blur=7", "/cat_64_44.webp?blur=7.00"},
		"grey":     {"/cat_65_45.webp?gray=true", "/cat_65_45.webp?saturation=0", "/cat_65_45.webp?gray=true&saturation=50"},
		"no fit":   {"/cat_66_46.webp?fit=clip&gravity=south", "/cat_66_46.webp"},
		"one side": {"/cat_0_47.webp?fit=cover", "/cat_0_47.webp?fit=clip&enlarge=true", "/cat_0_47.webp?fit=crop&gravity=west"},
		"crop":     {"/cat_67_48.webp?crop=0:0:1:1", "/cat_67_48.webp?crop=0.0:0:1.0:1", "/cat_67_48.webp", "/cat_67_48.webp?trim=255"},
		"page":     {"/cat_68_49.webp?page=1", "/cat_68_49.webp?animate=false", "/cat_68_49.webp?page=1&animate=false"},
		"colour":   {"/cat_69_50.webp?background=f00&fit=canvas", "/cat_69_50.webp?background=ff0000&fit=canvas", "/cat_69_50.webp?background=FF0000ff&fit=canvas"},
		"reset":    {"/cat_0_0.webp", "/cat.webp"},
	}
	for name, spellings := range groups {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t)
			e.keep("cat", cat())
			var tags []string
			for _, target := range spellings {
				got := e.do("GET", target)
				got.want(t, 200)
				tags = append(tags, got.Header.Get("Etag"))
			}
			if n := e.engine.renders.Load(); n != 1 {
				t.Errorf("%d renders of %q", n, spellings)
			}
			if slices.Sort(tags); len(slices.Compact(tags)) != 1 {
				t.Errorf("several tags: %q", tags)
			}
		})
	}
}

// TestClampedAlike: sizes beyond the bounds all end at one.
func TestClampedAlike(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	for _, target := range []string{"/cat_5000_5000.webp", "/cat_4097_99999.webp", "/cat_4000_4000_2x.webp", "/cat_99999_99999_20x.webp"} {
		got := e.do("GET", target)
		got.want(t, 307, "Location", "/cat_4096_4096.webp")
		e.do("GET", got.Header.Get("Location")).want(t, 200)
	}
	if n := e.engine.renders.Load(); n != 1 {
		t.Errorf("%d renders", n)
	}
}
