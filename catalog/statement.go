package catalog

import (
	"strconv"
	"strings"
)

// statement is SQL that is being written, with its arguments beside it.
type statement struct {
	strings.Builder
	args []any
}

func (s *statement) text(parts ...string) {
	for _, part := range parts {
		s.WriteString(part)
	}
}

// value writes a placeholder for v.
func (s *statement) value(v any) {
	s.args = append(s.args, v)
	s.text("$", strconv.Itoa(len(s.args)))
}

// listed writes the placeholder of the i-th entry of a list.
func (s *statement) listed(i int, v any) {
	if i > 0 {
		s.text(", ")
	}
	s.value(v)
}

// list writes placeholders for all of them.
func list[T any](s *statement, values []T) {
	for i, v := range values {
		s.listed(i, v)
	}
}
