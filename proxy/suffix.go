package proxy

import (
	"fmt"
	"strings"

	"deckle/transform"
)

// Suffixes are bundles of options that stand behind the key of a picture: BI in 1795288247_3434917671BI.jpg. A key is ten
// digits, an underscore and ten digits, and is the source's id.
type Suffixes struct{ presets Presets }

// ParseSuffixes reads suffixes as ParsePresets does presets; their names are of letters and digits, as in BI=_1500_1500?quality=90.
func ParseSuffixes(text string, mostSide int) (Suffixes, error) {
	s := Suffixes{Presets{byName: map[string]preset{}}}
	for entry := range strings.SplitSeq(text, ";") {
		name, bundle, _ := strings.Cut(strings.TrimSpace(entry), "=")
		if name == "" {
			continue
		}
		if _, twice := s.presets.byName[name]; twice || !isSuffix(name) {
			return Suffixes{}, fmt.Errorf("%q: want suffixes of up to 16 letters and digits, each once", entry)
		}
		read, err := parsePreset(strings.TrimSpace(bundle), mostSide)
		if err != nil {
			return Suffixes{}, fmt.Errorf("suffix %s: %w", name, err)
		}
		s.presets.byName[name] = read
	}
	return s, nil
}

func isSuffix(name string) bool {
	for i := range len(name) {
		c := name[i] | 0x20 // lower case
		if (c < 'a' || c > 'z') && (name[i] < '0' || name[i] > '9') {
			return false
		}
	}
	return name != "" && len(name) <= 16
}

// keyLength is that of a key without its extension.
const keyLength = 10 + 1 + 10

// isKey tells whether name is a key without an extension.
func isKey(name string) bool {
	return len(name) == keyLength && name[10] == '_' && strings.Trim(name[:10]+name[11:], "0123456789") == ""
}

// cut splits KEY SUFFIX .ext; ok is false for what has no known suffix, or no known extension.
func (s *Suffixes) cut(name string) (id, suffix, ext string, ok bool) {
	if len(s.presets.byName) == 0 || len(name) <= keyLength || !isKey(name[:keyLength]) {
		return "", "", "", false
	}
	suffix, ext, _ = strings.Cut(name[keyLength:], ".")
	_, known := s.presets.byName[suffix]
	_, writable := transform.FormatByExt(ext)
	return name[:keyLength], suffix, ext, known && writable
}
