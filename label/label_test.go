package label

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestCleanName(t *testing.T) {
	for name, want := range map[string]string{
		"Mountain Range":                   "mountain range",
		"  a\t b\n\nc ":                    "a b c",
		"ﬁnale":                            "finale",
		"STRAẞE":                           "strasse",
		"Ａ１":                               "a1",
		"e\u0301TE\u0301":                  "été",
		"\x00\x1b[31mred":                  "[31mred",
		"bad\xffbytes":                     "bad bytes",
		"\u200b":                           "",
		"日本":                               "日本",
		strings.Repeat("x", 300):           strings.Repeat("x", MaxName),
		strings.Repeat("ab ", 100):         strings.TrimSpace(strings.Repeat("ab ", 42)) + " ab",
		strings.Repeat("é", 100):           strings.Repeat("é", MaxName/2),
		strings.Repeat("日", 100):           strings.Repeat("日", MaxName/3),
		strings.Repeat("y", MaxName) + "z": strings.Repeat("y", MaxName),
	} {
		if got := CleanName(name); got != want {
			t.Errorf("%q is cleaned to %q, want %q", name, got, want)
		}
	}
}

func FuzzCleanName(f *testing.F) {
	for _, seed := range []string{"Mountain Range", "ﬁ", "\u0345\u0301", "İ", "\u1e9e", "\xff", strings.Repeat("日本 ", 90)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		clean := CleanName(name)
		if len(clean) > MaxName || !utf8.ValidString(clean) {
			t.Errorf("%q is cleaned to %d bytes: %q", name, len(clean), clean)
		}
		if again := CleanName(clean); again != clean {
			t.Errorf("%q is cleaned to %q, and that to %q", name, clean, again)
		}
	})
}

func TestClean(t *testing.T) {
	got, err := Clean([]Label{
		{"Cat", Object, 50}, {"cat ", Object, 99.123456}, {"cat", Text, 10}, {"\t", Object, 99}, {"dog", Object, 100}, {"ant", Object, 10},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Label{{"dog", Object, 100}, {"cat", Object, 99.1235}, {"ant", Object, 10}, {"cat", Text, 10}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	for _, wrong := range []Label{{"cat", "animal", 1}, {"cat", "", 1}, {"cat", Object, -1}, {"cat", Object, 100.1}, {"cat", Object, math.NaN()}, {"cat", Object, math.Inf(1)}} {
		if got, err := Clean([]Label{{"dog", Object, 1}, wrong}); !errors.Is(err, ErrRefused) || got != nil {
			t.Errorf("%+v: %v, %v", wrong, got, err)
		}
	}
}

func TestCleanBounds(t *testing.T) {
	var many []Label
	for i := range 3 * MaxLabels {
		many = append(many, Label{fmt.Sprint(i), Object, float64(i) / 10})
	}
	got, err := Clean(many)
	if err != nil || len(got) != MaxLabels || got[0].Name != "299" || got[MaxLabels-1].Name != "200" {
		t.Errorf("%d labels, from %v to %v: %v", len(got), got[0], got[len(got)-1], err)
	}
}

func TestKeep(t *testing.T) {
	got := Thresholds{Object: 70, Face: 50}.Keep([]Label{{"a", Object, 70}, {"b", Object, 69.9}, {"c", Face, 60}, {"d", Text, 0}})
	if diff := cmp.Diff([]Label{{"a", Object, 70}, {"c", Face, 60}, {"d", Text, 0}}, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}
