package cache_test

import (
	"errors"
	"strings"
	"testing"

	"deckle/cache"
)

func TestScopeCovers(t *testing.T) {
	tests := []struct {
		scope     cache.Scope
		yes, none []string
	}{
		{cache.Scope{Source: "a/b"}, []string{"a/b"}, []string{"a", "a/bc", "a/b/c", ""}},
		{cache.Scope{Prefix: "a/b"}, []string{"a/b", "a/b/c", "a/b/c/d"}, []string{"a", "a/bc", "a/bc/d", "b/a/b"}},
		{cache.Scope{Prefix: "a/b/"}, []string{"a/b/c", "a/b/c/d"}, []string{"a/b", "a/b/", "a/bc", "a/bc/d"}},
		{cache.Scope{Tag: "a/b"}, []string{"a/b"}, []string{"a/b/c", "a/bc"}},
		{cache.Scope{Tag: "a/"}, []string{"a/b", "a/b/c"}, []string{"a", "ab"}},
		{cache.Scope{Tag: "%C3%B1/"}, []string{"ñ/a"}, []string{"ñ", "%C3%B1/a"}},
		{cache.Scope{Tag: "%zz"}, nil, []string{"%zz", "a", ""}},
		{cache.Scope{All: true}, []string{"", "a", "a/b"}, nil},
		{cache.Scope{}, nil, []string{"", "a"}},
	}
	for _, test := range tests {
		for _, source := range test.yes {
			if !test.scope.Covers(source) {
				t.Errorf("%v does not cover %q", test.scope, source)
			}
			if path := cache.SourcePath(source); !strings.HasPrefix(path, test.scope.Path()) {
				t.Errorf("%v covers %q, whose path %q does not begin with %q", test.scope, source, path, test.scope.Path())
			}
		}
		for _, source := range test.none {
			if test.scope.Covers(source) {
				t.Errorf("%v covers %q", test.scope, source)
			}
		}
	}
}

func TestScopeCheck(t *testing.T) {
	tests := []struct {
		scope cache.Scope
		field string // that is wrong; empty for none
	}{
		{cache.Scope{Source: "a"}, ""}, {cache.Scope{Prefix: "a/"}, ""}, {cache.Scope{Tag: "a"}, ""}, {cache.Scope{All: true}, ""},
		{cache.Scope{}, "source"}, {cache.Scope{Source: "a", Prefix: "b"}, "prefix"}, {cache.Scope{Tag: "a", All: true}, "all"},
		{cache.Scope{Tag: "%4"}, "tag"},
	}
	for _, test := range tests {
		var wrong *cache.ScopeError
		err := test.scope.Check()
		switch {
		case test.field == "" && err != nil:
			t.Errorf("Check(%+v) = %v", test.scope, err)
		case test.field != "" && (!errors.As(err, &wrong) || wrong.Field != test.field):
			t.Errorf("Check(%+v) = %v, want field %s", test.scope, err, test.field)
		}
	}
}

// FuzzSourcePath holds that a path leads back to its id, that the paths of two ids differ, and that a path is fit for the
// stores that keep it.
func FuzzSourcePath(f *testing.F) {
	for _, source := range []string{"", "a", "a/b", "/", "a//b", "..", ".a/.b", "猫/ñ", "%", "%41", "!", "{}", "\xff\x00", "a*?[]"} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		path := cache.SourcePath(source)
		if got, ok := cache.SourceOf(path); !ok || got != source {
			t.Fatalf("SourceOf(%q) = %q, %v; want %q", path, got, ok, source)
		}
		if strings.ContainsAny(path, "!{}:*?[]\\\x00 \n") {
			t.Errorf("%q became %q", source, path)
		}
		for segment := range strings.SplitSeq(path, "/") {
			if segment == "" || segment[0] == '.' {
				t.Errorf("%q became %q, a segment of which is empty or begins with a dot", source, path)
			}
		}
		if back, ok := cache.SourceOf(source); ok && cache.SourcePath(back) != source {
			t.Errorf("SourceOf(%q) = %q, whose path is another", source, back)
		}
	})
}

func FuzzSourceIn(f *testing.F) {
	f.Add(cache.Encode(key, cache.NewEntry(cache.Entry{Body: []byte("x")})))
	f.Add([]byte("DKL\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		source, ok := cache.SourceIn(data)
		if _, err := cache.Decode(cache.Key{Source: source}, data); err == nil && !ok {
			t.Error("an entry that can be decoded names no source")
		}
	})
}
