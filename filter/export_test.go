package filter

import (
	"strings"
	"testing"
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
