package proxy

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestAnyMatches(t *testing.T) {
	tests := []struct {
		list             string
		byWeak, byStrong bool
	}{
		{`"a"`, true, true},
		{`W/"a"`, true, false},
		{`*`, true, true},
		{` * `, true, true},
		{`"b", "a"`, true, true},
		{`"b","a"`, true, true},
		{`"b" , W/"a"`, true, false},
		{`, ,"a",`, true, true},
		{`"b,"`, false, false},
		{`"b, "a""`, false, false},
		{`a`, false, false},
		{`w/"a"`, false, false},
		{`W/ "a"`, false, false},
		{`"a`, false, false},
		{`"a"x, "a"`, false, false},
		{`"b" "a"`, false, false},
		{`*, "b"`, false, false},
		{`""`, false, false},
		{``, false, false},
	}
	for _, test := range tests {
		for how, want := range map[comparison]bool{weak: test.byWeak, strong: test.byStrong} {
			if _, got := anyMatches(lines([]string{test.list}), `"a"`, how); got != want {
				t.Errorf("%s, weak %v: %v", test.list, how, got)
			}
		}
	}
	if _, ok := anyMatches(lines([]string{`"b"`, `"a"`}), `"a"`, strong); !ok {
		t.Error("a second line is not read")
	}
	if _, ok := anyMatches(lines([]string{`"b", "x,y"`}), `"x,y"`, strong); !ok {
		t.Error("a comma ends a tag")
	}
	if current, ok := anyMatches(lines([]string{`"x", W/"a-7"`}), `"a-`, weak); !ok || current != `"a-7"` {
		t.Errorf("a rendering of the key: %q, %v", current, ok)
	}
	if _, ok := anyMatches(lines([]string{`"a-7"`, `"ab-7"`}), `"a"`, weak); ok {
		t.Error("a whole tag is taken for the beginning of one")
	}
}

func TestWeigh(t *testing.T) {
	changed := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	before, same, after := changed.Add(-time.Second).Format(http.TimeFormat), changed.Format(http.TimeFormat), changed.Add(time.Second).Format(http.TimeFormat)
	tests := []struct {
		headers []string
		want    verdict
	}{
		{nil, proceed},
		{[]string{"If-None-Match", `"a"`}, unchanged},
		{[]string{"If-None-Match", `"b"`}, proceed},
		{[]string{"If-None-Match", `"b"`, "If-None-Match", `W/"a"`}, unchanged},
		{[]string{"If-Modified-Since", same}, unchanged},
		{[]string{"If-Modified-Since", after}, unchanged},
		{[]string{"If-Modified-Since", before}, proceed},
		{[]string{"If-Modified-Since", "Monday, 04-May-26 03:02:01 GMT"}, unchanged},
		{[]string{"If-Modified-Since", "Mon May  4 03:02:01 2026"}, unchanged},
		{[]string{"If-Modified-Since", "yesterday"}, proceed},
		{[]string{"If-Modified-Since", "Mon, 04 May 2026 03:02:01 CET"}, proceed},
		{[]string{"If-Modified-Since", same, "If-Modified-Since", after}, proceed},
		{[]string{"If-None-Match", `"b"`, "If-Modified-Since", same}, proceed},
		{[]string{"If-None-Match", "", "If-Modified-Since", same}, proceed},
		{[]string{"If-None-Match", `"a"`, "If-Modified-Since", before}, unchanged},
		{[]string{"If-Match", `"a"`}, proceed},
		{[]string{"If-Match", `"b"`}, failed},
		{[]string{"If-Match", `W/"a"`}, failed},
		{[]string{"If-Match", `*`}, proceed},
		{[]string{"If-Match", `"b"`, "If-None-Match", `"a"`}, failed},
		{[]string{"If-Match", `"a"`, "If-None-Match", `"a"`}, unchanged},
		{[]string{"If-Unmodified-Since", before}, failed},
		{[]string{"If-Unmodified-Since", same}, proceed},
		{[]string{"If-Unmodified-Since", "never"}, proceed},
		{[]string{"If-Match", `"a"`, "If-Unmodified-Since", before}, proceed},
		{[]string{"If-Unmodified-Since", before, "If-None-Match", `"a"`}, failed},
	}
	for _, test := range tests {
		var h fasthttp.RequestHeader
		for i := 0; i < len(test.headers); i += 2 {
			h.Add(test.headers[i], test.headers[i+1])
		}
		if got, _ := weigh(&h, `"a"`, changed.Add(300*time.Millisecond)); got != test.want {
			t.Errorf("%q: %d, want %d", test.headers, got, test.want)
		}
		if look(&h).condition != (len(test.headers) > 0) {
			t.Errorf("%q: the look missed it", test.headers)
		}
	}
	var h fasthttp.RequestHeader
	h.Set("If-Modified-Since", after)
	h.Set("If-Unmodified-Since", before)
	if got, _ := weigh(&h, `"a"`, time.Time{}); got != proceed {
		t.Errorf("without a date of change: %d", got)
	}
}

// tagList is a list of entity tags as RFC 9110 section 13.1.2 has it, without white space; or nothing.
var tagList = regexp.MustCompile(`^(\*|(W/)?"[!#-~]*"(,(W/)?"[!#-~]*")*)?$`)

// FuzzConditional holds our answers to those of net/http's ServeContent, which is another reading of RFC 9110, wherever the
// request has at most one range. Where the two may differ is named below.
func FuzzConditional(f *testing.F) {
	f.Add(`"a", W/"b"`, "", "bytes=1-2", `"a"`, "Mon, 04 May 2026 03:02:01 GMT")
	f.Add("*", `"a"`, "bytes=-3", "Mon, 04 May 2026 03:02:01 GMT", "")
	f.Add("", "", "bytes=99-", "", "x")
	changed := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	body := []byte("0123456789")
	f.Fuzz(func(t *testing.T, noneMatch, match, part, ifRange, since string) {
		fields := map[string]string{"If-None-Match": noneMatch, "If-Match": match, "Range": part, "If-Range": ifRange, "If-Modified-Since": since}
		r := httptest.NewRequest("GET", "/", nil)
		var ctx fasthttp.RequestCtx
		for name, value := range fields {
			if strings.Trim(value, " \t") != value || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }) {
				return // what no parser of messages would let through
			}
			if value != "" {
				r.Header.Set(name, value)
				ctx.Request.Header.Set(name, value)
			}
		}
		if _, set, _ := strings.Cut(part, "="); strings.ContainsAny(set, ", ") || !strings.HasPrefix(part, "bytes=") {
			delete(r.Header, "Range") // several ranges are answered whole here, and white space is read otherwise
			ctx.Request.Header.Del("Range")
			part = ""
		}
		if len(part) > 20 || strings.HasPrefix(part, "bytes=-") && strings.Trim(part[7:], "0") == "" {
			return // ServeContent knows no numbers that large, and calls a suffix of nothing a part
		}
		if !tagList.MatchString(noneMatch) || !tagList.MatchString(match) {
			return // each has its own way of giving up
		}
		w := httptest.NewRecorder()
		w.Header().Set("ETag", `"a"`)
		http.ServeContent(w, r, "x.webp", changed, bytes.NewReader(body))

		n := &naming{tag: `"a"`, changed: changed}
		a := &Access{asked: look(&ctx.Request.Header), begin: time.Now()}
		got := 200
		v, _ := weigh(&ctx.Request.Header, n.tag, n.changed)
		switch v {
		case unchanged:
			got = 304
		case failed:
			got = 412
		default:
			_, partial, err := wantedPart(&ctx, a, n, n.tag, int64(len(body)))
			switch {
			case err != nil:
				got = 416
			case partial:
				got = 206
			}
		}
		if got == w.Code || w.Code == 416 && part != "" && got == 200 { // a malformed range is passed over here, and refused there
			return
		}
		t.Errorf("%q: %d, ServeContent says %d", fields, got, w.Code)
	})
}

// TestRangeOfVariants: parts come from the finished picture, whatever tier it is in, and make no second one.
func TestRangeOfVariants(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	e.date("cat", time.Now().Add(-time.Hour))
	all := e.do("GET", "/cat_30_20.webp")
	all.want(t, 200, "Accept-Ranges", "bytes", "Content-Range", "")
	tag, date, size := all.Header.Get("Etag"), all.Header.Get("Last-Modified"), len(all.body)
	tests := []struct {
		name    string
		headers []string
		status  int
		body    string
		says    string
	}{
		{"single", []string{"Range", "bytes=1-4"}, 206, all.body[1:5], "bytes 1-4/"},
		{"open", []string{"Range", "bytes=5-"}, 206, all.body[5:], "bytes 5-"},
		{"suffix", []string{"Range", "bytes=-3"}, 206, all.body[size-3:], "bytes "},
		{"beyond", []string{"Range", "bytes=9999-"}, 416, "", "bytes */"},
		{"several", []string{"Range", "bytes=0-1,4-5"}, 200, all.body, ""},
		{"unit", []string{"Range", "lines=0-1"}, 200, all.body, ""},
		{"same tag", []string{"Range", "bytes=1-4", "If-Range", tag}, 206, all.body[1:5], "bytes 1-4/"},
		{"weak tag", []string{"Range", "bytes=1-4", "If-Range", "W/" + tag}, 200, all.body, ""},
		{"other tag", []string{"Range", "bytes=1-4", "If-Range", `"x"`}, 200, all.body, ""},
		{"same date, which another rendering may have", []string{"Range", "bytes=1-4", "If-Range", date}, 200, all.body, ""},
		{"later date", []string{"Range", "bytes=1-4", "If-Range", time.Now().UTC().Format(http.TimeFormat)}, 200, all.body, ""},
		{"If-Range alone", []string{"If-Range", tag}, 200, all.body, ""},
		{"not modified wins", []string{"Range", "bytes=1-4", "If-None-Match", tag}, 304, "", ""},
		{"not satisfiable, not the same", []string{"Range", "bytes=9999-", "If-Range", `"x"`}, 200, all.body, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := e.do("GET", "/cat_30_20.webp", test.headers...)
			got.want(t, test.status, "Content-Range", test.says)
			if test.status/100 == 2 && got.body != test.body {
				t.Errorf("%q, want %q", got.body, test.body)
			}
			if test.status/100 == 2 && got.ContentLength != int64(len(test.body)) {
				t.Errorf("Content-Length is %d", got.ContentLength)
			}
			if test.status == 206 {
				got.want(t, 206, "Etag", tag, "Last-Modified", date, "Cache-Control", "max-age", "Content-Type", "image/webp", "Cache-Status", "Deckle; ")
			}
		})
	}
	e.do("HEAD", "/cat_30_20.webp", "Range", "bytes=1-4").want(t, 200, "Content-Range", "")
	if n := e.engine.renders.Load(); n != 1 {
		t.Errorf("%d renders", n)
	}
}

// TestIfRangeDateTooNew: within the second that a source changed in, its date tells nothing for sure.
func TestIfRangeDateTooNew(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	n := &naming{tag: `"a"`, changed: now}
	date := lines([]string{now.UTC().Format(http.TimeFormat)})
	if sameStill(date, n, n.tag, now.Add(900*time.Millisecond)) || !sameStill(date, n, n.tag, now.Add(time.Second)) {
		t.Error("the date of this very second counts, or that of the last one does not")
	}
}

// TestValidatorsCostNothing: a 304 and a 412 read no source, look into no tier below memory, and render nothing; what the 304
// says of caching is what the 200 says.
func TestValidatorsCostNothing(t *testing.T) {
	e := newEdge(t)
	e.keep("shop/cat", cat())
	e.proxy.Tags, e.proxy.CDN = true, "max-age=86400"
	e.proxy.told = e.proxy.tell()
	whole := e.do("GET", "/shop/cat_30_20.auto?v=1", "Accept", "image/webp")
	tag := whole.Header.Get("Etag")

	other := newEdge(t) // knows nothing, and cannot open the source
	counted := &crowd{Versions: e.proxy.Versions, Reader: e.proxy.Sources, there: make(chan struct{})}
	other.proxy.Sources, other.proxy.Versions, other.proxy.Policy, other.proxy.told = counted, counted, e.proxy.Policy, e.proxy.told
	got := other.do("GET", "/shop/cat_30_20.auto?v=1", "Accept", "image/webp", "If-None-Match", tag)
	got.want(t, 304)
	for _, name := range []string{"Cache-Control", "CDN-Cache-Control", "Etag", "Last-Modified", "Vary", "Surrogate-Key", "Cache-Tag"} {
		if want := whole.Header.Get(name); want == "" || got.Header.Get(name) != want {
			t.Errorf("%s is %q, that of the 200 %q", name, got.Header.Get(name), want)
		}
	}
	other.do("GET", "/shop/cat_30_20.webp", "If-Match", `"x"`).want(t, 412, "Cache-Control", "no-store")
	other.do("HEAD", "/shop/cat_30_20.webp", "If-None-Match", "*").want(t, 304)
	if n := counted.opens.Load() + other.engine.renders.Load(); n != 0 {
		t.Errorf("%d openings and renders", n)
	}
}

func TestValidators(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	first := e.do("GET", "/cat_30_20.webp")
	tag, modified := first.Header.Get("Etag"), first.Header.Get("Last-Modified")
	date, err := http.ParseTime(modified)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name          string
		header, value string
		status        int
	}{
		{"same tag", "If-None-Match", tag, 304},
		{"weak tag", "If-None-Match", "W/" + tag, 304},
		{"in a list", "If-None-Match", `"x", ` + tag + `, "y"`, 304},
		{"any", "If-None-Match", "*", 304},
		{"another", "If-None-Match", `"x"`, 200},
		{"bare", "If-None-Match", strings.Trim(tag, `"`), 200},
		{"same date", "If-Modified-Since", modified, 304},
		{"later", "If-Modified-Since", date.Add(time.Hour).UTC().Format(http.TimeFormat), 304},
		{"earlier", "If-Modified-Since", date.Add(-time.Second).UTC().Format(http.TimeFormat), 200},
		{"no date", "If-Modified-Since", "yesterday", 200},
	}
	for _, method := range []string{"GET", "HEAD"} {
		for _, target := range []string{"/cat_30_20.webp", "/cat.jpg"} {
			for _, test := range tests {
				t.Run(method+target+" "+test.name, func(t *testing.T) {
					value := test.value
					if strings.Contains(value, tag) || value == strings.Trim(tag, `"`) {
						value = strings.ReplaceAll(value, strings.Trim(tag, `"`), strings.Trim(e.do("GET", target).Header.Get("Etag"), `"`))
					}
					got := e.do(method, target, test.header, value)
					got.want(t, test.status, "Cache-Control", "max-age=3600")
					if test.status == 304 && (got.body != "" || got.Header.Get("Etag") == "") {
						t.Errorf("a 304 has body %q and tag %q", got.body, got.Header.Get("Etag"))
					}
				})
			}
		}
	}
	e.do("GET", "/cat_30_20.webp", "If-None-Match", `"x"`, "If-Modified-Since", modified).want(t, 200)
	if n := e.engine.renders.Load(); n != 1 {
		t.Errorf("%d renders, want 1", n)
	}
}

// TestValidatorNeedsNoPicture: a validator is answered for a variant that was never rendered here.
func TestValidatorNeedsNoPicture(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	tag := e.do("GET", "/cat_30_20.webp").Header.Get("Etag")
	other := newEdge(t)
	other.dir = e.dir
	other.proxy.Sources, other.proxy.Versions = e.proxy.Sources, e.proxy.Versions
	other.do("GET", "/cat_30_20.webp", "If-None-Match", tag).want(t, 304, "Etag", tag)
	if n := other.engine.renders.Load(); n != 0 {
		t.Errorf("%d renders for a 304", n)
	}
}
