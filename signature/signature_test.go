package signature

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"
)

// The vectors that other implementations of the same scheme publish.
var vectors = []struct {
	method, path string
	expires      int64
	want         string
}{
	{"POST", "/photos", 1702156800, "rpVGAdSnV7rtH5CxMLzYxd0TYRYHOqyergYCSFg37VA"},
	{"GET", "/products/6e0/072/682/e66287b662827da75b244a3/x200.jpg", 1702156800, "YA7MTdvRrxheC0svvE5PJkK4Odjc9arqIQF719-haWg"},
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		if got := Sign("test-secret", v.method, v.path, time.Unix(v.expires, 0)); got != v.want {
			t.Errorf("%s %s: %s, want %s", v.method, v.path, got, v.want)
		}
	}
}

const (
	secretA = "an old secret of 32 bytes, retired"
	secretB = "a new secret of 32 bytes, in use.."
	start   = 1_800_000_000
)

// clock is a time that tests set.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func newVerifier(t testing.TB, c Config) (*Verifier, *clock) {
	t.Helper()
	now := &clock{time.Unix(start, 0)}
	c.Now = now.read
	if c.MaxAge == 0 {
		c.MaxAge = time.Hour
	}
	v, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v, now
}

// TestCheckOrder: each request has everything wrong that comes later in the order too, so that what is said first is tested.
func TestCheckOrder(t *testing.T) {
	v, _ := newVerifier(t, Config{Secrets: []string{secretB, secretA}})
	good := Query(secretB, "GET", "/cat.jpg", "", time.Unix(start+60, 0))
	tests := []struct {
		name, query string
		want        error
	}{
		{"nothing", "", ErrMissing},
		{"other options", "fit=crop&v=1", ErrMissing},
		{"no signature", "X-Expires=soon&X-Path=/dog", ErrMissing},
		{"no end", "X-Signature=x&X-Path=/dog", ErrMissing},
		{"empty signature", "X-Expires=1&X-Signature=", ErrMissing},
		{"twice", good + "&X-Signature=x", ErrMissing},
		{"twice in other letters", good + "&x-signature=x", ErrMissing},
		{"path twice", good + "&X-Path=/cat.jpg&X-Path=/", ErrMissing},
		{"twice, empty at first", "X-Path=&X-Signature=&" + good + "&X-Path=/cat.jpg", ErrMissing},
		{"bad encoding", "X-Expires=%zz&X-Signature=x", ErrMissing},
		{"no number", "X-Expires=soon&X-Signature=x&X-Path=/dog", ErrExpires},
		{"a fraction", "X-Expires=1800000060.5&X-Signature=x&X-Path=/dog", ErrExpires},
		{"signed number", "X-Expires=%2B1800000060&X-Signature=x&X-Path=/dog", ErrExpires},
		{"leading zero", "X-Expires=01800000060&X-Signature=x&X-Path=/dog", ErrExpires},
		{"beyond 64 bits", "X-Expires=9223372036854775808&X-Signature=x&X-Path=/dog", ErrExpires},
		{"hexadecimal", "X-Expires=0x6b49d200&X-Signature=x", ErrExpires},
		{"over", "X-Expires=1799999999&X-Signature=x&X-Path=/dog", ErrExpired},
		{"before 1970", "X-Expires=-9223372036854775808&X-Signature=x&X-Path=/dog", ErrExpired},
		{"too far ahead", "X-Expires=1800003601&X-Signature=x&X-Path=/dog", ErrTooLong},
		{"end of time", "X-Expires=9223372036854775807&X-Signature=x&X-Path=/dog", ErrTooLong},
		{"another path", "X-Expires=1800000060&X-Signature=x&X-Path=/dog", ErrPath},
		{"no path", "X-Expires=1800000060&X-Signature=x&X-Path=cat.jpg", ErrPath},
		{"encoded twice", "X-Expires=1800000060&X-Signature=x&X-Path=%252Fcat.jpg", ErrPath},
		{"another signature", "X-Expires=1800000060&X-Signature=" + Sign(secretB, "GET", "/dog.jpg", time.Unix(start+60, 0)), ErrSignature},
		{"short signature", "X-Expires=1800000060&X-Signature=x", ErrSignature},
		{"another end", strings.Replace(good, "1800000060", "1800000061", 1), ErrSignature},
		{"another scope", good + "&X-Path=/", ErrSignature},
		{"good", good, nil},
		{"among options", "v=1&" + good + "&fit=crop", nil},
		{"in small letters", strings.NewReplacer("X-Expires", "x-expires", "X-Signature", "x-signature").Replace(good), nil},
		{"names encoded", strings.ReplaceAll(good, "X-", "%58%2D"), nil},
		{"the old secret", Query(secretA, "GET", "/cat.jpg", "", time.Unix(start+60, 0)), nil},
		{"at its last second", Query(secretB, "GET", "/cat.jpg", "", time.Unix(start, 0)), nil},
		{"as far ahead as allowed", Query(secretB, "GET", "/cat.jpg", "", time.Unix(start+3600, 0)), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			proof, err := v.Check(Request{Method: "GET", Path: "/cat.jpg", Source: "cat", Query: test.query})
			if !errors.Is(err, test.want) || (err == nil) != (proof != nil) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

// TestSpellings: one value has one spelling.
func TestSpellings(t *testing.T) {
	v, _ := newVerifier(t, Config{Secrets: []string{secretA}})
	sign := Sign(secretA, "GET", "/cat.jpg", time.Unix(start, 0))
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", sign[42])
	loose := sign[:42] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last|1])
	for _, spelling := range []string{sign + "=", sign[:20] + "%0A" + sign[20:], sign[:20] + "%0A" + sign[21:], "+" + sign, sign + "A", sign[:42], loose} {
		_, err := v.Check(Request{Method: "GET", Path: "/cat.jpg", Query: "X-Expires=1800000000&X-Signature=" + spelling})
		if !errors.Is(err, ErrSignature) {
			t.Errorf("%q for %q: %v", spelling, sign, err)
		}
	}
	if _, err := base64.RawURLEncoding.DecodeString(loose); err != nil {
		t.Errorf("%q is refused for another reason: %v", loose, err)
	}
}

func TestMethods(t *testing.T) {
	v, _ := newVerifier(t, Config{Secrets: []string{secretA}})
	tests := []struct {
		signed, sent string
		good         bool
	}{
		{"GET", "GET", true}, {"GET", "HEAD", true}, {"HEAD", "HEAD", true}, {"HEAD", "GET", false}, {"GET", "POST", false},
		{"POST", "GET", false}, {"POST", "POST", true}, {"POST", "PUT", false}, {"get", "GET", false},
	}
	for _, test := range tests {
		proof, err := v.Check(Request{Method: test.sent, Path: "/cat", Query: Query(secretA, test.signed, "/cat", "", time.Unix(start, 0))})
		if (err == nil) != test.good {
			t.Errorf("%s for %s: %v", test.signed, test.sent, err)
		}
		if err == nil && proof.Method != test.signed {
			t.Errorf("%s for %s: the proof says %s", test.signed, test.sent, proof.Method)
		}
	}
}

func TestCovers(t *testing.T) {
	tests := []struct {
		scope, path, source string
		want                bool
	}{
		{"/cat", "/cat_300_200.webp", "cat", true},
		{"/cat", "/cat.jpg", "cat", true},
		{"/cat", "/cat.json", "cat", true},
		{"/cat", "/cat_secret.webp", "cat_secret", false},
		{"/cat", "/cat_300_200_0_0.webp", "cat_300_200", false},
		{"/cat", "/cats.webp", "cats", false},
		{"/cat", "/cat/kitten.webp", "cat/kitten", true},
		{"/cat/", "/cat/kitten.webp", "cat/kitten", true},
		{"/cat/", "/cat_300_200.webp", "cat", true},
		{"/cat.jpg", "/cat.jpg", "cat", true},
		{"/cat.jpg", "/cat.jpg/", "", true},
		{"/cat.jpg", "/cat.webp", "cat", false},
		{"/shop/shoe", "/shop/shoe_30_20.avif", "shop/shoe", true},
		{"/shop", "/shop/shoe_30_20.avif", "shop/shoe", true},
		{"/shoe", "/shop/shoe_30_20.avif", "shop/shoe", false},
		{"/photos", "/photosxyz", "", false},
		{"/photos/abc", "/photos", "", false},
		{"/", "/anything/at/all.jpg", "anything/at/all", true},
		{"/", "/", "", true},
		{"", "/cat.jpg", "cat", false},
		{"cat", "/cat.jpg", "cat", false},
		{"//", "/cat.jpg", "cat", false},
		{"/cat", "cat.jpg", "cat", false},
		{"/a", "/a/../b.jpg", "", false},
		{"/a/..", "/a/../b.jpg", "", false},
		{"/./cat", "/./cat.jpg", "", false},
		{"/café", "/café_30_20.webp", "café", true},
		{"/caf", "/café_30_20.webp", "café", false},
		{"/", "/cat.jpg", "", true},
	}
	for _, test := range tests {
		if got := Covers(test.scope, test.path, test.source); got != test.want {
			t.Errorf("Covers(%q, %q, %q) is %v", test.scope, test.path, test.source, got)
		}
	}
}

// TestEncoding: the decoded path is signed, so that however a URL is spelt its signature is the same.
func TestEncoding(t *testing.T) {
	v, _ := newVerifier(t, Config{Secrets: []string{secretA}})
	end := time.Unix(start, 0)
	exact, scoped := Query(secretA, "GET", "/café.jpg", "", end), Query(secretA, "GET", "/café.jpg", "/café", end)
	tests := []struct {
		path, query string
		want        error
	}{
		{"/caf%C3%A9.jpg", exact, nil},
		{"/caf%c3%a9.jpg", exact, nil},
		{"/%63af%C3%A9%2Ejpg", exact, nil},
		{"/café.jpg", exact, nil},
		{"/caf%C3%A9.jpg", scoped, nil},
		{"/caf%C3%A9.jpg", strings.ReplaceAll(scoped, "%C3%A9", "é"), nil},
		{"/caf%25C3%25A9.jpg", exact, ErrSignature},
		{"/caf%C3%A9.jpg", Query(secretA, "GET", "/caf%C3%A9.jpg", "", end), ErrSignature},
		{"/caf%C3.jpg", exact, ErrSignature},
		{"/caf%C3%A9.jp%", exact, ErrPath},
		{"/a%2Fb.jpg", Query(secretA, "GET", "/a/b.jpg", "", end), ErrPath},
		{"/a%0Ab.jpg", Query(secretA, "GET", "/a\nb.jpg", "", end), ErrPath},
		{"/a%00b.jpg", Query(secretA, "GET", "/a\x00b.jpg", "", end), ErrPath},
	}
	for _, test := range tests {
		if _, err := v.Check(Request{Method: "GET", Path: test.path, Source: "café", Query: test.query}); !errors.Is(err, test.want) {
			t.Errorf("%s?%s: %v, want %v", test.path, test.query, err, test.want)
		}
	}
}

func TestStrip(t *testing.T) {
	for query, want := range map[string]string{
		"":                               "",
		"fit=crop&v=1":                   "fit=crop&v=1",
		"X-Expires=1&fit=crop&X-Path=/":  "fit=crop",
		"fit=crop&x-signature=abc&v=%20": "fit=crop&v=%20",
		"%58-Signature=abc":              "",
		"X-Other=1&x=2":                  "X-Other=1&x=2",
		"X-Expires&X-Signature":          "",
		"a=X-Expires=1":                  "a=X-Expires=1",
	} {
		if got := Strip(query); got != want {
			t.Errorf("Strip(%q) is %q, want %q", query, got, want)
		}
	}
}

func TestNewSecret(t *testing.T) {
	one, two := NewSecret(32), NewSecret(32)
	if one == two || len(one) != 43 {
		t.Errorf("%q and %q", one, two)
	}
}

// FuzzCheck: nothing is let in but what this secret has signed for this method, for something that covers the path, and in
// time; and nothing panics.
func FuzzCheck(f *testing.F) {
	good := Query(secretA, "GET", "/cat.jpg", "/cat", time.Unix(start+5, 0))
	f.Add("GET", "/cat.jpg", "cat", good)
	f.Add("HEAD", "/caf%C3%A9_1_1.webp", "café", Query(secretA, "GET", "/café", "/café", time.Unix(start, 0)))
	f.Add("POST", "/a/../b", "", "X-Expires=1800000000&X-Path=%2F&X-Signature=____")
	f.Add("GET", "/%", "%", "%58-Path=%&&x-expires=-0&=")
	f.Fuzz(func(t *testing.T, method, path, source, query string) {
		v, now := newVerifier(t, Config{Secrets: []string{secretA}})
		proof, err := v.Check(Request{Method: method, Path: path, Source: source, Query: query})
		if strings.Contains(strings.ToLower(Strip(query)), "x-signature=") {
			for pair := range strings.SplitSeq(Strip(query), "&") {
				if strings.HasPrefix(strings.ToLower(pair), "x-signature=") {
					t.Errorf("%q is left of %q", pair, query)
				}
			}
		}
		var refused *Error
		if err != nil {
			if !errors.As(err, &refused) || proof != nil {
				t.Errorf("%v with %v", err, proof)
			}
			return
		}
		decoded, _ := decode(path)
		signed := decoded
		if proof.Scope != "" {
			signed = proof.Scope
		}
		if !strings.Contains(query, Sign(secretA, proof.Method, signed, proof.Expires)) && !strings.Contains(query, "%") {
			t.Errorf("%s %s?%s is let in without its signature", method, path, query)
		}
		if proof.Method != method && (method != "HEAD" || proof.Method != "GET") {
			t.Errorf("%s is let in by a signature for %s", method, proof.Method)
		}
		if !Covers(signed, decoded, source) || proof.Expires.Before(now.now) || proof.Expires.Sub(now.now) > time.Hour {
			t.Errorf("%s %s?%s is let in: %+v", method, path, query, proof)
		}
	})
}

// FuzzSigned: what is signed is let in, and with any one character of its query, path or method changed it is not.
func FuzzSigned(f *testing.F) {
	f.Add("cat", "_300_200.webp", uint(3), byte('x'))
	f.Add("shop/shoe", ".jpg", uint(40), byte('/'))
	f.Fuzz(func(t *testing.T, source, rest string, at uint, with byte) {
		path := "/" + source + rest
		for _, r := range source + rest {
			if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_~-./é", r) {
				return
			}
		}
		if source == "" || climbs(path) || climbs("/"+source) || strings.HasSuffix(source, "/") {
			return
		}
		v, _ := newVerifier(t, Config{Secrets: []string{secretB, secretA}})
		query := Query(secretA, "GET", path, "/"+source, time.Unix(start+100, 0))
		request := Request{Method: "GET", Path: path, Source: source, Query: query}
		if _, err := v.Check(request); err != nil {
			t.Fatalf("%s?%s: %v", path, query, err)
		}
		changed := []byte(query)
		i := int(at % uint(len(changed)))
		if changed[i] == with || strings.EqualFold(string(changed[i]), string(with)) {
			return // names, and the hexadecimal digits of an encoding, are read in any letter case
		}
		changed[i] = with
		request.Query = string(changed)
		if proof, err := v.Check(request); err == nil {
			if proof.Scope == "/"+source || proof.Scope == "" && path == "/"+source {
				return // another spelling of what was signed
			}
			t.Errorf("%s?%s is let in after a change at %d of %s", path, request.Query, i, query)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	v, _ := newVerifier(b, Config{Secrets: []string{secretB, secretA}})
	r := Request{Method: "GET", Path: "/cat_300_200.webp", Source: "cat", Query: Query(secretB, "GET", "", "/cat", time.Unix(start+60, 0))}
	proof, err := v.Check(r)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = v.Check(r) // checked above
		}
	})
	b.Run("remembered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v.Holds(proof)
		}
	})
}
