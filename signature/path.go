package signature

import (
	"net/url"
	"strings"
)

// Covers tells whether a signature for scope is good for a request: its path is scope, or goes on from it behind a slash, or
// scope is a slash and the id of the source that the request names. One slash at the end of scope or path counts for
// nothing, and "/" covers everything. All three are decoded; an empty source names none.
//
// So /cat covers /cat_300_200.webp (a rendering of the source cat) and /cat/kitten.webp, but not /cat_secret.webp.
func Covers(scope, path, source string) bool {
	if !strings.HasPrefix(scope, "/") || !strings.HasPrefix(path, "/") || climbs(scope) || climbs(path) {
		return false
	}
	scope, path = strings.TrimSuffix(scope, "/"), strings.TrimSuffix(path, "/")
	rest, below := strings.CutPrefix(path, scope)
	return below && (rest == "" || rest[0] == '/') || source != "" && scope == "/"+source
}

// climbs tells whether a path has a segment that stands for another: what such a path names depends on who reads it.
func climbs(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// decode undoes the percent-encoding of a request's path, so that every spelling of a URL has the same signature. An encoded
// slash or control character belongs to no path that can be signed.
func decode(path string) (string, bool) {
	decoded, err := url.PathUnescape(path)
	if err != nil || strings.Count(decoded, "/") != strings.Count(path, "/") || strings.ContainsFunc(decoded, control) {
		return "", false
	}
	return decoded, true
}

func control(r rune) bool { return r < ' ' || r == 0x7f }
