package origin_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"deckle/origin"
	"deckle/origin/origintest"
)

func TestCheckID(t *testing.T) {
	segment := strings.Repeat("a", origin.MaxSegment)
	for _, id := range []string{
		"cat", "c", "0", "-", "_", "~", "cat.jpg", "cat..jpg", "cat.", "a_b-c~d.e", "UPPER", "1/2/3/4/5/6/7/8", "products/6e0/072",
		"straße", "ünï/cödé", "日本語", "हिन्दी", "ภาพ", "Ελλάδα", "עברית", "中/文", "٣", "café", "con", "NUL", "~root", "-rf",
		segment, segment + "/" + segment[:126], strings.Repeat("é", 64),
	} {
		if err := origin.CheckID(id); err != nil {
			t.Errorf("CheckID(%q): %v", id, err)
		}
	}
	for _, id := range origintest.HostileIDs() {
		err := origin.CheckID(id)
		if !errors.Is(err, origin.ErrBadID) {
			t.Errorf("CheckID(%q): %v, want ErrBadID", id, err)
			continue
		}
		if len(id) > 12 && strings.Contains(err.Error(), id) {
			t.Errorf("CheckID(%q) repeats the id: %v", id, err)
		}
	}
}

func TestHostileIDsAreMany(t *testing.T) {
	seen := make(map[string]bool)
	for _, id := range origintest.HostileIDs() {
		seen[id] = true
	}
	if len(seen) < 200 {
		t.Errorf("%d different hostile ids, want 200 at least", len(seen))
	}
}

// segmentGrammar is URLS.md section 1 in another notation.
var segmentGrammar = regexp.MustCompile(`^[A-Za-z0-9_~\-\pL\p{Nd}\pM][A-Za-z0-9._~\-\pL\p{Nd}\pM]*$`)

// FuzzID holds CheckID against the grammar spelled as a regular expression.
func FuzzID(f *testing.F) {
	for _, id := range append(origintest.HostileIDs(), "cat", "a/b", "straße/ü", "हिन्दी") {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		segments := strings.Split(id, "/")
		want := utf8.ValidString(id) && len(id) <= 255 && len(segments) <= 8 && norm.NFC.String(id) == id
		for _, segment := range segments {
			want = want && len(segment) <= 128 && segmentGrammar.MatchString(segment)
		}
		err := origin.CheckID(id)
		if (err == nil) != want {
			t.Fatalf("CheckID(%q): %v, the grammar says %v", id, err, want)
		}
		if err != nil && !errors.Is(err, origin.ErrBadID) {
			t.Fatalf("CheckID(%q): %v does not wrap ErrBadID", id, err)
		}
	})
}

func TestVersionOf(t *testing.T) {
	grammar := regexp.MustCompile(`^[0-9A-Za-z_-]{22}$`)
	seen := make(map[string][]string)
	for _, facts := range [][]string{{}, {"a"}, {"a", ""}, {"", "a"}, {"a", "b"}, {"b", "a"}, {"ab"}, {`"x"/+=`}} {
		v := origin.VersionOf(facts...)
		if !grammar.MatchString(v) || v != origin.VersionOf(facts...) {
			t.Errorf("VersionOf(%q) = %q", facts, v)
		}
		if other, taken := seen[v]; taken {
			t.Errorf("%q and %q have one version", facts, other)
		}
		seen[v] = facts
	}
}
