package cache

import (
	"net/url"
	"strings"
)

// Scope says which sources a purge is about. Exactly one of its fields is set.
type Scope struct {
	Source string `json:"source,omitempty"` // one source's id
	// Prefix ends at a border of segments: "a/b" covers a/b and all below it, "a/b/" only what is below, and neither a/bc.
	Prefix string `json:"prefix,omitempty"`
	// Tag is what an answer carries in Surrogate-Key, percent-encoded or not: a source's id, or with a slash at its end a
	// folder that it is in.
	Tag string `json:"tag,omitempty"`
	All bool   `json:"all,omitempty"`
}

// ScopeError says why a Scope is none.
type ScopeError struct {
	Field string // of Scope, as in JSON
	Hint  string // what it should be
}

func (e *ScopeError) Error() string { return "cache: scope: " + e.Field + ": " + e.Hint }

// Check returns a *ScopeError unless exactly one field is set and can be read. What ids look like is not its matter.
func (s Scope) Check() error {
	set := []string{}
	for _, field := range []struct {
		name  string
		given bool
	}{{"source", s.Source != ""}, {"prefix", s.Prefix != ""}, {"tag", s.Tag != ""}, {"all", s.All}} {
		if field.given {
			set = append(set, field.name)
		}
	}
	switch {
	case len(set) == 0:
		return &ScopeError{"source", "one of source, prefix, tag and all is needed"}
	case len(set) > 1:
		return &ScopeError{set[1], "only one of source, prefix, tag and all can be given, and there is " + set[0] + " already"}
	}
	if _, err := url.PathUnescape(s.Tag); err != nil {
		return &ScopeError{"tag", "it is not well percent-encoded"}
	}
	return nil
}

// Covers tells whether a source is within the scope. A scope that Check refuses for having no field covers nothing.
func (s Scope) Covers(source string) bool {
	switch s = s.settled(); {
	case s.All:
		return true
	case s.Source != "":
		return source == s.Source
	case s.Prefix == "":
		return false
	}
	rest, below := strings.CutPrefix(source, s.Prefix)
	if strings.HasSuffix(s.Prefix, "/") {
		return below && rest != ""
	}
	return below && (rest == "" || rest[0] == '/')
}

// Path returns a text that the SourcePath of every covered source begins with; some others may begin with it too. It is
// empty for all.
func (s Scope) Path() string {
	s = s.settled()
	if s.Source != "" {
		return SourcePath(s.Source)
	}
	path := SourcePath(strings.TrimSuffix(s.Prefix, "/"))
	switch {
	case s.Prefix == "":
		return ""
	case strings.HasSuffix(s.Prefix, "/"):
		path += "/"
	}
	return path
}

// One returns the source that the scope is about, if it can be no other.
func (s Scope) One() (source string, one bool) {
	s = s.settled()
	return s.Source, s.Source != ""
}

func (s Scope) String() string {
	switch {
	case s.All:
		return "all"
	case s.Source != "":
		return "source " + s.Source
	case s.Prefix != "":
		return "prefix " + s.Prefix
	}
	return "tag " + s.Tag
}

// settled returns the scope with its tag turned into what the tag stands for. A tag today is nothing but a source's id or a
// folder; labels that records carry will be looked up before there is a Scope, and become sources.
func (s Scope) settled() Scope {
	if s.Tag == "" {
		return s
	}
	path, err := url.PathUnescape(s.Tag)
	if err != nil {
		return Scope{}
	}
	if strings.HasSuffix(path, "/") {
		return Scope{Prefix: path}
	}
	return Scope{Source: path}
}
