package vips

import (
	"bufio"
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packageRecords are where Debian and what is made from it keep what is installed; images without a package manager keep one
// file a package in the second place.
var packageRecords = []string{"/var/lib/dpkg/status", "/var/lib/dpkg/status.d/*"}

// packageVersion returns the version of the first of some packages that is installed; empty when none is, or nothing tells.
func packageVersion(names []string) string {
	for _, pattern := range packageRecords {
		files, _ := filepath.Glob(pattern) // the patterns are good
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				continue // as good as no records
			}
			if version := recordedVersion(data, names); version != "" {
				return version
			}
		}
	}
	return ""
}

// recordedVersion finds the version of an installed package among records (deb822(5): fields by line, records by empty line).
func recordedVersion(records []byte, names []string) string {
	var name, version string
	installed := true
	lines := bufio.NewScanner(bytes.NewReader(records))
	lines.Buffer(nil, 1<<20)
	for more := true; more; {
		more = lines.Scan()
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimSpace(value)
		switch {
		case !more || lines.Text() == "":
			if installed && version != "" && slices.Contains(names, name) {
				return version
			}
			name, version, installed = "", "", true
		case field == "Package":
			name = value
		case field == "Version":
			version = value
		case field == "Status":
			installed = strings.HasSuffix(value, " installed")
		}
	}
	return ""
}

// upstreamOf returns what of a package's version its authors gave: without the epoch and the distribution's own part.
func upstreamOf(version string) string {
	if _, rest, found := strings.Cut(version, ":"); found {
		version = rest
	}
	if dash := strings.LastIndexByte(version, '-'); dash >= 0 {
		version = version[:dash]
	}
	return version
}

// compareVersions orders versions of packages without epochs as deb-version(7) says: by the authors' part, then by the
// distribution's.
func compareVersions(a, b string) int {
	if order := compareParts(upstreamOf(a), upstreamOf(b)); order != 0 {
		return order
	}
	return compareParts(a[strings.LastIndexByte(a, '-')+1:], b[strings.LastIndexByte(b, '-')+1:])
}

// compareParts compares runs of other characters and runs of digits in turn.
func compareParts(a, b string) int {
	for a != "" || b != "" {
		var textA, textB, digitsA, digitsB string
		textA, digitsA, a = nextRuns(a)
		textB, digitsB, b = nextRuns(b)
		if order := compareText(textA, textB); order != 0 {
			return order
		}
		if order := cmp.Or(cmp.Compare(len(digitsA), len(digitsB)), cmp.Compare(digitsA, digitsB)); order != 0 {
			return order
		}
	}
	return 0
}

// nextRuns takes a run of anything but digits and a run of digits, without its leading zeros, off the front.
func nextRuns(s string) (text, digits, rest string) {
	rest = strings.TrimLeftFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	text = s[:len(s)-len(rest)]
	digits = rest
	rest = strings.TrimLeft(rest, "0123456789")
	return text, strings.TrimLeft(digits[:len(digits)-len(rest)], "0"), rest
}

// compareText orders ~ before the end, the end before letters, and letters before the rest.
func compareText(a, b string) int {
	rank := func(s string, i int) int {
		switch {
		case i >= len(s):
			return 0
		case s[i] == '~':
			return -1
		case s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z':
			return int(s[i])
		}
		return int(s[i]) + 256
	}
	for i := range max(len(a), len(b)) {
		if order := cmp.Compare(rank(a, i), rank(b, i)); order != 0 {
			return order
		}
	}
	return 0
}
