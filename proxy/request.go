package proxy

import (
	"net/url"
	"strings"

	"deckle/origin"
	"deckle/transform"
)

// Request is what a URL asks for.
type Request struct {
	Source    string         // the source's id, checked
	Spec      transform.Spec // canonical; its format may still be Auto
	WebPOnly  bool           // allow_webp=true: WebP where the viewer takes it, and nothing else negotiated
	Versioned bool           // the URL carries a version mark, so that its answer never changes
}

// maxPath bounds the path of a URL, bytes as sent: an id of 255 bytes with each one percent-encoded, a size and an extension.
const maxPath = 1024

// reserved are first segments that name no source.
var reserved = map[string]bool{"_health": true, "robots.txt": true, "favicon.ico": true, "token": true}

// ParseRequest reads a path and a raw query as they came over the wire. ignore lists the options to pass over, as in
// Config.Ignore. Errors are *transform.SpecError, transform.ErrNoExtension, or wrap origin.ErrBadID.
func ParseRequest(path, query string, ignore []string) (Request, error) {
	name, err := decodePath(path)
	if err != nil {
		return Request{}, err
	}
	id, spec, err := transform.ParseName(name)
	if err != nil {
		return Request{}, err
	}
	if err := checkSource(id); err != nil {
		return Request{}, err
	}
	r := Request{Source: id}
	r.Spec, err = transform.ParseQuery(spec, query, func(name string) bool { return r.passOver(name, query, ignore) })
	if err != nil {
		return Request{}, err
	}
	if r.WebPOnly && r.Spec.Format == transform.Auto {
		r.WebPOnly = false // .auto asks for more
	}
	return r, nil
}

// passOver takes the options that do not belong to a Spec: compatibility flags and what is ignored by configuration.
func (r *Request) passOver(name, query string, ignore []string) bool {
	switch name {
	case "allow_webp":
		r.WebPOnly = strings.Contains("&"+query+"&", "&allow_webp=true&")
		return true
	case "proxy": // asks for bytes where redirects are configured; the bytes are what every answer holds
		return true
	}
	for i, pattern := range ignore {
		prefix, isPrefix := strings.CutSuffix(pattern, "*")
		if name == pattern || (isPrefix && strings.HasPrefix(name, prefix)) {
			r.Versioned = r.Versioned || i == 0
			return true
		}
	}
	return false
}

// decodePath undoes the percent-encoding of each segment. An encoded slash or NUL is no part of any id.
func decodePath(path string) (string, error) {
	path, rooted := strings.CutPrefix(path, "/")
	if !rooted || len(path) > maxPath {
		return "", origin.ErrBadID
	}
	if !strings.Contains(path, "%") {
		return path, nil
	}
	name, err := url.PathUnescape(path)
	if err != nil || strings.Count(name, "/") != strings.Count(path, "/") {
		return "", origin.ErrBadID
	}
	return name, nil
}

func checkSource(id string) error {
	if err := origin.CheckID(id); err != nil {
		return err
	}
	first, _, _ := strings.Cut(id, "/")
	if reserved[first] {
		return origin.ErrBadID
	}
	return nil
}

// uploadID reads the id that an upload names: the path, less the extension of a known format.
func uploadID(path string) (string, error) {
	name, err := decodePath(path)
	if err != nil {
		return "", err
	}
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		if f, ok := transform.FormatByExt(name[dot+1:]); ok && f != transform.Auto {
			name = name[:dot]
		}
	}
	return name, checkSource(name)
}

// encodeID percent-encodes an id for a URL.
func encodeID(id string) string {
	segments := strings.Split(id, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/")
}
