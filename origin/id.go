package origin

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The bounds of an id, bytes of UTF-8 (URLS.md section 1).
const (
	MaxID       = 255
	MaxSegment  = 128
	MaxSegments = 8
)

// CheckID tells whether id is within the grammar: 1 to 8 segments joined by "/", each of 1 to 128 bytes of letters, digits
// and ". _ ~ -", in Unicode's composed form, none with a leading dot, 255 bytes in all. The error wraps ErrBadID and says
// which rule is broken without repeating the id.
func CheckID(id string) error {
	switch {
	case id == "":
		return badID("it is empty")
	case len(id) > MaxID:
		return badID("it has more than %d bytes", MaxID)
	case !utf8.ValidString(id):
		return badID("it is not UTF-8")
	case !norm.NFC.IsNormalString(id):
		return badID("it is not in Unicode's composed form (NFC)")
	case strings.Count(id, "/") >= MaxSegments:
		return badID("it has more than %d segments", MaxSegments)
	}
	for segment := range strings.SplitSeq(id, "/") {
		if err := checkSegment(segment); err != nil {
			return err
		}
	}
	return nil
}

func checkSegment(segment string) error {
	switch {
	case segment == "":
		return badID("a segment is empty")
	case len(segment) > MaxSegment:
		return badID("a segment has more than %d bytes", MaxSegment)
	case segment[0] == '.':
		return badID("a segment begins with a dot")
	}
	for _, r := range segment {
		if !idRune(r) {
			return badID("it has a character other than letters, digits, . _ ~ - and /")
		}
	}
	return nil
}

// idRune allows combining marks beside letters and digits: without them Hindi or Thai words could not be written.
func idRune(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return true
	case r < utf8.RuneSelf:
		return r == '.' || r == '_' || r == '~' || r == '-'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

func badID(rule string, args ...any) error {
	return fmt.Errorf("%w: "+rule, append([]any{ErrBadID}, args...)...)
}
