package proxy

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDownload bounds the name of a downloaded file, bytes: what file systems take.
const maxDownload = 255

// setDownload reads the name that a viewer's browser shall save a picture under.
func (r *Request) setDownload(name string) error {
	switch {
	case name == "":
		return errors.New("it is the name of a file")
	case len(name) > maxDownload:
		return errors.New("it has at most 255 bytes")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unfitForFile):
		return errors.New("it holds no slashes and no control characters")
	}
	r.Download = name
	return nil
}

// unfitForFile tells what has no business in a file's name: separators, control characters, and those that change the
// direction of writing, with which txt.exe can be made to read exe.txt.
func unfitForFile(c rune) bool {
	return c == '/' || c == '\\' || unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c)
}

// disposition returns the value of Content-Disposition (RFC 6266) that makes a browser save an answer as name: in ASCII for
// all, and where that is not all of it encoded by RFC 8187 for those that know it.
func disposition(name string) string {
	plain := strings.Map(func(c rune) rune {
		if c > unicode.MaxASCII || c == '"' || c == '%' { // some decode % even here (RFC 6266, appendix D)
			return '_'
		}
		return c
	}, name)
	value := `attachment; filename="` + plain + `"`
	if plain == name {
		return value
	}
	return value + "; filename*=UTF-8''" + extended(name)
}

// extended percent-encodes what is no attr-char (RFC 8187, section 3.2.1).
func extended(name string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$&+-.^_`|~", c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}
