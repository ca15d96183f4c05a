package proxy

import (
	"encoding/json"
	"fmt"
	"strings"

	"deckle/cache"
	"deckle/origin"
	"deckle/transform"
)

// Namespaces says which first segments of an id hold pictures that are named by their bytes (URLS.md section 3). The zero value
// is none.
type Namespaces struct {
	any   bool
	names map[string]bool
}

// taken are names that would be namespaces by their spelling, and mean something else.
var taken = map[string]bool{"status_check": true, "tmp": true}

// ParseNamespaces reads names of a-z, 0-9, - and _; * stands for any.
func ParseNamespaces(names []string) (Namespaces, error) {
	n := Namespaces{names: map[string]bool{}}
	for _, name := range names {
		if name == "*" {
			n.any = true
		} else if !isNamespace(name) {
			return Namespaces{}, fmt.Errorf("%q is no namespace: want up to 128 of a-z, 0-9, - and _, and no name that means something else", name)
		}
		n.names[name] = true
	}
	return n, nil
}

func isNamespace(name string) bool {
	return name != "" && len(name) <= origin.MaxSegment && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == "" &&
		!reserved[name] && !taken[name]
}

// has tells whether a name is that of a namespace.
func (n *Namespaces) has(name string) bool {
	return n.Some() && isNamespace(name) && (n.any || n.names[name])
}

// Some tells whether there are any.
func (n *Namespaces) Some() bool { return len(n.names) > 0 }

// hashSegments are the lengths of the segments that an MD5 in lower-case hexadecimal is cut into.
var hashSegments = [...]int{3, 3, 3, 23}

// split cuts ns/h3/h3/h3/h23/last into the id of a source and what stands behind it; ok is false for any other path.
func (n *Namespaces) split(path string) (id, last string, ok bool) {
	if !n.Some() {
		return "", "", false
	}
	namespace, rest, _ := strings.Cut(path, "/")
	if !n.has(namespace) {
		return "", "", false
	}
	for _, length := range hashSegments {
		var segment string
		if segment, rest, ok = strings.Cut(rest, "/"); !ok || len(segment) != length || strings.Trim(segment, "0123456789abcdef") != "" {
			return "", "", false
		}
	}
	return path[:len(path)-len(rest)-1], rest, rest != "" && !strings.Contains(rest, "/")
}

// hashOf returns the hash that the id of such a source is made of.
func hashOf(id string) string {
	_, hash, _ := strings.Cut(id, "/")
	return strings.ReplaceAll(hash, "/", "")
}

// readName reads a decoded path: in path form, as one with a configured suffix, or as a file name. suffix is the suffix's name.
func (r *Request) readName(name string, rules *Rules) (id string, spec transform.Spec, suffix string, err error) {
	if id, last, ok := rules.Namespaces.split(name); ok {
		r.ByPath = true
		if last == factsName {
			r.Want = WantFacts
			return id, spec, "", nil
		}
		spec, err = transform.ParseVariant(last)
		return id, spec, "", err
	}
	if id, suffix, ext, ok := rules.Suffixes.cut(name); ok {
		spec.Format, _ = transform.FormatByExt(ext)
		return id, spec, suffix, nil
	}
	id, spec, err = r.parseName(name)
	return id, spec, "", err
}

// sourceOf is SourceOf where URLs may be in path form, or have suffixes, too.
func (rules *Rules) sourceOf(path string) string {
	name, err := decodePath(path)
	if err != nil {
		return ""
	}
	if id, _, ok := rules.Namespaces.split(name); ok {
		return id
	}
	if id, _, _, ok := rules.Suffixes.cut(name); ok {
		return id
	}
	return SourceOf(path)
}

// inPathForm gives a path that was read in path form the size and the format of spec.
func inPathForm(path string, spec transform.Spec) string {
	slash := strings.LastIndexByte(path, '/')
	name, _ := decodePath(path[slash:]) // it was decoded before
	named, _ := transform.ParseVariant(name)
	named.Format, named.Width, named.Height = spec.Format, spec.Width, spec.Height
	if name, ok := named.Variant(); ok {
		return path[:slash+1] + name
	}
	return path
}

// boundedPath is the path of r with its size within the bounds.
func boundedPath(r *Request, bounded transform.Spec, path string) string {
	if r.ByPath {
		return inPathForm(path, bounded)
	}
	return "/" + encodeID(r.Source) + bounded.Size() + path[extensionAt(path):]
}

// extensionAt returns where in a path as it was sent, which names a picture, its extension begins with a dot, percent-encoded or not.
func extensionAt(path string) int {
	return max(strings.LastIndexByte(path, '.'), strings.LastIndex(path, "%2e"), strings.LastIndex(path, "%2E"))
}

// factsName asks in path form for facts.
const factsName = "info.json"

// facts is what is told of a source that is named by its bytes, in the order that its clients know.
type facts struct {
	Hash        string `json:"hash"`
	Height      int    `json:"height"` // pixels, as a viewer sees it
	Width       int    `json:"width"`  // pixels, as a viewer sees it
	ContentType string `json:"content_type"`
}

// factsOf makes the JSON that info.json answers.
func (p *Proxy) factsOf(id string, source []byte) (cache.Entry, error) {
	header, err := p.Limits.ReadHeader(source)
	if err != nil {
		return cache.Entry{}, err
	}
	entry := cache.Entry{ContentType: mediaJSON}
	entry.Width, entry.Height = header.Upright()
	entry.Body, err = json.Marshal(facts{hashOf(id), entry.Height, entry.Width, header.Format.MediaType()})
	return entry, err
}
