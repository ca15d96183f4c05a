package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The bounds of an entry's name.
const (
	maxName     = 1024 + 512 // bytes: a file name of ours, and what stands before it
	maxSegments = 128
	maxSegment  = 160 // bytes, of names that are written: file systems take 255
)

// checkName tells what is wrong with an entry's name, empty when nothing is: whoever unpacks the archive must come to lie within the
// folder that it is unpacked in, on any system. Names of folders end in a slash.
func checkName(name string) (problem string) {
	bare := strings.TrimSuffix(name, "/")
	switch {
	case bare == "":
		return "it has no name"
	case len(name) > maxName:
		return "its name is too long"
	case !utf8.ValidString(name):
		return "its name is not UTF-8"
	case strings.ContainsRune(name, 0):
		return "its name holds a NUL"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "its name holds a control character"
	case name[0] == '/' || len(name) > 1 && name[1] == ':':
		return "its name is that of a place outside the archive"
	case strings.ContainsRune(name, '\\'):
		return "its name has a backslash"
	case strings.Count(name, "/") > maxSegments:
		return "its name has too many folders"
	}
	for segment := range strings.SplitSeq(bare, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return "its name leads elsewhere"
		}
	}
	return ""
}

// reserved are names that Windows gives to devices, whatever their extension.
var reserved = map[string]bool{
	"con": true, "prn": true, "aux": true, "nul": true, "com1": true, "com2": true, "com3": true, "com4": true, "com5": true, "com6": true,
	"com7": true, "com8": true, "com9": true, "lpt1": true, "lpt2": true, "lpt3": true, "lpt4": true, "lpt5": true, "lpt6": true,
	"lpt7": true, "lpt8": true, "lpt9": true,
}

// safePath makes a relative path of any text, one that every file system takes and that leads nowhere else.
func safePath(text string) string {
	var segments []string
	for segment := range strings.SplitSeq(strings.ReplaceAll(text, `\`, "/"), "/") {
		if segment = safeSegment(segment); segment != "" {
			segments = append(segments, segment)
		}
	}
	if len(segments) > maxSegments/2 {
		segments = segments[len(segments)-maxSegments/2:]
	}
	return cutTo(strings.Join(segments, "/"), 1024)
}

func safeSegment(segment string) string {
	segment = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune(`:*?"<>|`, r) {
			return '_'
		}
		return r
	}, norm.NFC.String(strings.ToValidUTF8(segment, "_")))
	segment = strings.TrimRight(cutTo(segment, maxSegment), " .")
	stem, _, _ := strings.Cut(segment, ".")
	if strings.HasPrefix(segment, ".") || strings.HasPrefix(segment, "~") || reserved[strings.ToLower(stem)] {
		return "_" + segment
	}
	return segment
}

// cutTo shortens a text to its last bytes of whole characters, where the extension is, with a hash in place of what is gone.
func cutTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	rest := text[len(text)-(most-17):]
	for len(rest) > 0 && !utf8.RuneStart(rest[0]) {
		rest = rest[1:]
	}
	return hex.EncodeToString(sum[:8]) + "_" + strings.TrimLeft(rest, "/")
}

// paths gives entries their names, each once.
type paths struct{ taken map[[16]byte]struct{} }

// pathOf names the entry of a picture: by owner and file, or by its id where it has no file. ext is without its dot.
func (p *paths) pathOf(picture Picture, ext string) string {
	name := safePath(picture.File)
	if name == "" {
		name = safePath(picture.ID)
		if ext != "" {
			name += "." + ext
		}
	}
	if owner := safeSegment(strings.ReplaceAll(picture.Owner, "/", "_")); owner != "" {
		name = "@" + owner + "/" + name
	}
	name = FilesDir + name
	if !p.take(name) {
		// Two names that are one when they are written safely, or without regard to case: the id tells them apart.
		sum := sha256.Sum256([]byte(picture.ID))
		extension := path.Ext(name)
		name = strings.TrimSuffix(name, extension) + "~" + hex.EncodeToString(sum[:8]) + extension
		p.take(name)
	}
	return name
}

// take tells whether a name is free, and takes it.
func (p *paths) take(name string) bool {
	sum := sha256.Sum256([]byte(strings.ToLower(norm.NFC.String(name))))
	key := [16]byte(sum[:16])
	if _, taken := p.taken[key]; taken {
		return false
	}
	if p.taken == nil {
		p.taken = map[[16]byte]struct{}{}
	}
	p.taken[key] = struct{}{}
	return true
}
