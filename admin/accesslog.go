package admin

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// Bounds of a list of pictures to warm.
const (
	maxWarmLine  = 64 << 10 // bytes
	maxTarget    = 2 << 10  // bytes of a path and query
	maxWarmPaths = 1 << 20  // different ones
)

// Targets are the paths and queries that a list or an access log names, in the order of their first appearance.
type Targets struct {
	Paths   []string
	Counts  map[string]int // how often each was named
	Skipped int            // lines that name none: another method, an error, no format that is known
}

// ReadTargets reads lines until the end: paths (/cat_300_200.webp), URLs, Deckle's own log, or an access log in the common or
// combined format, also mixed. Of a log, the GET and HEAD requests that were answered with a picture count. Empty lines and
// those that begin with # are passed over. Deckle's own log has no queries: they may hold secrets.
func ReadTargets(r io.Reader) (Targets, error) {
	t := Targets{Counts: map[string]int{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxWarmLine)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := t.add(readTarget(line)); err != nil {
			return t, err
		}
	}
	if err := lines.Err(); err != nil {
		return t, fmt.Errorf("read list: %w", err)
	}
	return t, nil
}

func (t *Targets) add(target string, ok bool) error {
	switch {
	case !ok:
		t.Skipped++
		return nil
	case t.Counts[target] == 0 && len(t.Paths) == maxWarmPaths:
		return fmt.Errorf("read list: more than %d different paths", maxWarmPaths)
	case t.Counts[target] == 0:
		t.Paths = append(t.Paths, target)
	}
	t.Counts[target]++
	return nil
}

// readTarget finds the path and query in a line of any of the formats.
func readTarget(line string) (target string, ok bool) {
	switch {
	case line[0] == '{':
		target, ok = ofOwnLog(line)
	case line[0] == '/', strings.HasPrefix(line, "http://"), strings.HasPrefix(line, "https://"):
		target, ok = line, true
	default:
		target, ok = ofCommonLog(line)
	}
	if !ok {
		return "", false
	}
	return asTarget(target)
}

// asTarget drops scheme, host and fragment, and refuses what could not stand in a request line.
func asTarget(text string) (target string, ok bool) {
	if scheme, rest, found := strings.Cut(text, "://"); found && (scheme == "http" || scheme == "https") {
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			return "", false
		}
		text = rest[slash:]
	}
	text, _, _ = strings.Cut(text, "#")
	fit := text != "" && text[0] == '/' && len(text) > 1 && len(text) <= maxTarget && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' || r == '<' || r == '>' // a URL has them percent-encoded
	})
	if _, err := url.ParseRequestURI(text); !fit || err != nil {
		return "", false
	}
	return text, true
}

// ofOwnLog reads a line as proxy writes it.
func ofOwnLog(line string) (target string, ok bool) {
	var l struct {
		Msg, Method, Path string
		Status            int
	}
	if json.Unmarshal([]byte(line), &l) != nil || l.Msg != "request" {
		return "", false
	}
	return l.Path, reads(l.Method) && showed(l.Status)
}

// ofCommonLog reads a line of the common log format or one that goes on behind it:
// host ident user [time] "GET /path HTTP/1.1" status bytes.
func ofCommonLog(line string) (target string, ok bool) {
	_, rest, found := strings.Cut(line, `] "`)
	if !found {
		return "", false
	}
	asked, rest, found := strings.Cut(rest, `" `)
	if !found {
		return "", false
	}
	words := strings.Split(asked, " ")
	if len(words) != 3 || !strings.HasPrefix(words[2], "HTTP/") {
		return "", false
	}
	code, _, _ := strings.Cut(rest, " ")
	status := 0
	if _, err := fmt.Sscanf(code, "%3d", &status); err != nil || len(code) != 3 {
		return "", false
	}
	return words[1], reads(words[0]) && showed(status)
}

func reads(method string) bool { return method == "GET" || method == "HEAD" }

// showed tells the statuses of requests whose picture was there.
func showed(status int) bool { return status == 200 || status == 206 || status == 304 }
