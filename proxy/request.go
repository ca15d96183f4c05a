package proxy

import (
	"errors"
	"net/url"
	"strings"

	"deckle/origin"
	"deckle/signature"
	"deckle/transform"
)

// Request is what a URL asks for.
type Request struct {
	Source    string         // the source's id, checked
	Spec      transform.Spec // canonical; its format may still be Auto
	WebPOnly  bool           // allow_webp=true: WebP where the viewer takes it, and nothing else negotiated
	Versioned bool           // the URL carries a version mark, so that its answer never changes
	Want      Want           // the picture, or something about it
	Download  string         // name of a file that the answer is to be saved as; empty to show it
	Dense     bool           // the name says how many device pixels a CSS pixel has
	Bytes     bool           // proxy=true: bytes, although answers are redirected to public copies
	Moving    bool           // the source is known to be an animation, and the format to keep one picture of it
	Sized     bool           // the size stands in the name, so that bounds are held against it; a preset's is configured
	ByPath    bool           // the URL is in path form
}

// maxPath bounds the path of a URL, bytes as sent: an id of 255 bytes with each one percent-encoded, a size and an extension.
const maxPath = 1024

// reserved are first segments that name no source.
var reserved = map[string]bool{"_health": true, "robots.txt": true, "favicon.ico": true, "token": true, "_confirm": true}

// ParseRequest reads a path and a raw query as they came over the wire; a signature in the query is passed over. Errors are
// *transform.SpecError, transform.ErrNoExtension, or wrap origin.ErrBadID.
func ParseRequest(path, query string, rules Rules) (Request, error) {
	name, err := decodePath(path)
	if err != nil {
		return Request{}, err
	}
	var r Request
	id, spec, suffix, err := r.readName(name, &rules)
	if err != nil {
		return Request{}, err
	}
	if err := checkSource(id); err != nil {
		return Request{}, err
	}
	r.Source, r.Sized = id, spec.Size() != ""
	r.Dense = r.Sized && !r.ByPath && endsInRatio(name)
	query, preset, err := r.takeOwn(signature.Strip(query))
	if err != nil {
		return Request{}, err
	}
	passOver := func(name string) bool { return r.passOver(name, &rules) }
	if err := rules.check(spec, query, passOver); err != nil {
		return Request{}, err
	}
	if preset != "" {
		if spec, query, err = rules.Presets.expand(preset, spec, query); err != nil {
			return Request{}, err
		}
	}
	if suffix != "" {
		if spec, query, err = rules.Suffixes.presets.expand(suffix, spec, query); err != nil {
			return Request{}, err
		}
	}
	r.WebPOnly, r.Bytes = asksWebP(query), holds(query, "proxy=true") // once: a query may name them hundreds of times
	if r.Spec, err = transform.ParseQuery(spec, query, passOver); err != nil {
		return Request{}, err
	}
	if r.WebPOnly && r.Spec.Format == transform.Auto {
		r.WebPOnly = false // .auto asks for more
	}
	if r.Want != WantPicture {
		r.WebPOnly = false
	}
	return r, r.checkInfo()
}

// parseName is transform.ParseName, and knows .json besides the formats.
func (r *Request) parseName(name string) (id string, spec transform.Spec, err error) {
	stem := len(name) - len(infoExt)
	if stem < 0 || !strings.EqualFold(name[stem:], infoExt) {
		return transform.ParseName(name)
	}
	r.Want = WantInfo
	// A size is read from the right of any name that ends in an extension.
	id, spec, err = transform.ParseName(name[:stem] + "." + transform.Auto.Ext())
	spec.Format = transform.Source
	return id, spec, err
}

// checkInfo refuses what has no meaning for facts about a source.
func (r *Request) checkInfo() error {
	if (r.Want == WantInfo || r.Want == WantFacts) && r.Spec != (transform.Spec{}) {
		return &transform.SpecError{
			Option: "extension", Value: "json",
			Hint: "it describes the source, without size and options; an id that ends like a size is written with a free one, as in photo_300_200_0_0.json",
		}
	}
	return nil
}

// takeOwn takes the options that are about the answer, and no part of a Spec, out of a raw query.
func (r *Request) takeOwn(query string) (rest, preset string, err error) {
	if query == "" {
		return "", "", nil
	}
	set := map[string]func(string) error{
		"download":    r.setDownload,
		"placeholder": r.setPlaceholder,
		"preset": func(name string) error {
			if preset = name; name == "" {
				return errors.New("it is the name of a configured bundle of options")
			}
			return nil
		},
	}
	var kept []string
	for _, pair := range pairsOf(query) {
		name := optionName(pair)
		take, known := set[name]
		if !known {
			kept = append(kept, pair)
			continue
		}
		_, raw, _ := strings.Cut(pair, "=")
		value, err := url.QueryUnescape(raw)
		switch {
		case take == nil:
			err = errors.New("it is given twice; give it once")
		case err != nil:
			err = errors.New("a % is written %25")
		default:
			err = take(value)
		}
		if err != nil {
			return "", "", &transform.SpecError{Option: name, Value: bounded(value), Hint: err.Error()}
		}
		set[name] = nil
	}
	return strings.Join(kept, "&"), preset, nil
}

// passOver takes the options that do not belong to a Spec: compatibility flags and what is ignored by configuration.
func (r *Request) passOver(name string, rules *Rules) bool {
	if name == "allow_webp" || name == "proxy" {
		return true
	}
	ignored, versioned := rules.ignores(name)
	r.Versioned = r.Versioned || versioned
	return ignored
}

// endsInRatio tells whether a name that holds a size ends in _{n}x before its extension.
func endsInRatio(name string) bool {
	stem := name[:strings.LastIndexByte(name, '.')]
	return strings.HasSuffix(stem, "x") && strings.LastIndexByte(stem, '_') >= 0
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
