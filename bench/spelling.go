package bench

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Spellings are the patterns that servers are known to take for the same work: fit inside a box, a format, a quality. A target
// may bring its own, which begins with "/" and has {w} and {h}, and {id}, {ext} and {q} where needed.
var Spellings = map[string]string{
	"deckle":   "/{id}_{w}_{h}.{ext}?quality={q}",
	"imgproxy": "/insecure/rs:fit:{w}:{h}/q:{q}/plain/local:///{id}.jpg@{ext}",
	"imagor":   "/unsafe/fit-in/{w}x{h}/filters:quality({q}):format({ext})/{id}.jpg",
	"thumbor":  "/unsafe/fit-in/{w}x{h}/filters:quality({q}):format({ext})/{id}.jpg",
	"plain":    "/{id}_{w}_{h}.{ext}",
}

// originals are how the servers of the spellings give a source's stored bytes away; the others do not.
var originals = map[string]string{
	"deckle": "/{id}.jpg",
	"plain":  "/{id}.jpg",
}

// places are what a pattern may hold.
var places = []string{"{id}", "{w}", "{h}", "{ext}", "{q}"}

// spelling writes the request targets of one server.
type spelling struct {
	prefix  string   // path of the target's base, without a slash at its end
	parts   []string // literal text and places in turn, as they come
	quality string
}

// newSpelling takes a pattern apart; prefix is the path of the target's base.
func newSpelling(pattern, prefix string, c Config) (*spelling, error) {
	if known, ok := Spellings[pattern]; ok {
		pattern = known
	}
	if !strings.HasPrefix(pattern, "/") {
		return nil, fmt.Errorf("spelling %q is not known, and no pattern, which would begin with /", pattern)
	}
	if !strings.Contains(pattern, "{w}") || !strings.Contains(pattern, "{h}") {
		return nil, fmt.Errorf("pattern %q lacks {w} or {h}: different pictures would have one URL", pattern)
	}
	if len(c.Sources) > 1 && !strings.Contains(pattern, "{id}") {
		return nil, fmt.Errorf("pattern %q lacks {id} and there are several sources", pattern)
	}
	prefix = strings.TrimSuffix(prefix, "/")
	s := parsePattern(prefix + pattern)
	s.prefix = prefix
	return s.at(c.Quality), nil
}

// at returns the spelling with another quality.
func (s *spelling) at(quality int) *spelling {
	other := *s
	other.quality = strconv.Itoa(quality)
	return &other
}

func parsePattern(pattern string) *spelling {
	s := &spelling{}
	for rest := pattern; rest != ""; {
		at, place := nextPlace(rest)
		if at > 0 {
			s.parts = append(s.parts, rest[:at])
		}
		if place != "" {
			s.parts = append(s.parts, place)
		}
		rest = rest[at+len(place):]
	}
	return s
}

// nextPlace returns the first place in text and where it is; its end and no place when there is none.
func nextPlace(text string) (at int, place string) {
	at = len(text)
	for _, p := range places {
		if i := strings.Index(text, p); i >= 0 && i < at {
			at, place = i, p
		}
	}
	return at, place
}

// append appends the request target of p.
func (s *spelling) append(target []byte, p picture) []byte {
	for _, part := range s.parts {
		switch part {
		case "{id}":
			target = append(target, escapeID(p.source)...)
		case "{w}":
			target = strconv.AppendInt(target, int64(p.width), 10)
		case "{h}":
			target = strconv.AppendInt(target, int64(p.height), 10)
		case "{ext}":
			target = append(target, p.format...)
		case "{q}":
			target = append(target, s.quality...)
		default:
			target = append(target, part...)
		}
	}
	return target
}

// escapeID keeps the slashes of an id.
func escapeID(id string) string {
	segments := strings.Split(id, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return strings.Join(segments, "/")
}

// mediaTypes are what an answer in a format must be labelled with. Other formats may be labelled with any picture type.
var mediaTypes = map[string][]string{
	"jpg": {"image/jpeg"}, "jpeg": {"image/jpeg"}, "png": {"image/png"}, "webp": {"image/webp"}, "avif": {"image/avif"},
	"gif": {"image/gif"}, "jxl": {"image/jxl"}, "tif": {"image/tiff"}, "tiff": {"image/tiff"}, "heic": {"image/heic", "image/heif"},
}

// rightType tells whether an answer's Content-Type is what the format asked for.
func rightType(format, contentType string) bool {
	contentType, _, _ = strings.Cut(contentType, ";")
	if types, ok := mediaTypes[format]; ok {
		return slices.Contains(types, contentType)
	}
	return strings.HasPrefix(contentType, "image/")
}
