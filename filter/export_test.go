package filter

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Print writes a value of a Doc as JSON.
func Print(value any) string {
	var b strings.Builder
	writeJSON(&b, value)
	return b.String()
}

// Read reads a value of a Doc from JSON.
func Read(t testing.TB, text string) any {
	t.Helper()
	value, err := readJSON([]byte(text), reader{depth: 100, values: 1000, number: asFloat})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// Compare lets cmp look into filters; compiled patterns are the same when their sources are.
var Compare = cmp.Options{
	cmp.AllowUnexported(Filter{}, clause{}, field{}, test{}, pattern{}),
	cmp.Comparer(func(a, b *regexp.Regexp) bool { return a == b || (a != nil && b != nil && a.String() == b.String()) }),
	cmpopts.EquateEmpty(),
}
