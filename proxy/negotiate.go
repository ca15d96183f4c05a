package proxy

import (
	"bytes"
	"strings"

	"deckle/transform"

	"github.com/valyala/fasthttp"
)

// class is all that the Accept header of a viewer comes down to, so that a negotiated URL has no more answers than there are
// classes.
type class uint8

const (
	classOwn      class = iota // the source's own family, or nothing is negotiated
	classWebP                  // WebP, else own
	classAVIF                  // AVIF, else own
	classAVIFWebP              // AVIF, else WebP, else own
	numClasses
)

// negotiates tells whether the answer depends on the viewer's Accept.
func (r *Request) negotiates() bool { return r.Spec.Format == transform.Auto || r.WebPOnly }

// classify reads the class out of the lines of an Accept header (RFC 9110 section 12.5.1). AVIF and WebP count only where they
// are named: wildcards are sent by clients that show neither. A named format that the viewer likes less than the source's
// family, whatever that turns out to be, gives way to it; between the two the higher weight wins, AVIF when they are equal.
func classify(accept [][]byte) class {
	w := weights{}
	for _, line := range accept {
		w.read(line)
	}
	family := min(w.of(nameJPEG), w.of(namePNG), w.of(nameGIF))
	avif, webp := w.named[nameAVIF], w.named[nameWebP]
	takes := func(q weight) bool { return q.given && q.q > 0 && q.q >= family }
	switch {
	case takes(avif) && takes(webp) && avif.q >= webp.q:
		return classAVIFWebP
	case takes(webp):
		return classWebP
	case takes(avif):
		return classAVIF
	}
	return classOwn
}

// format returns what a viewer of the class gets for s; moving says that the source is an animation. AVIF is written as a still
// picture here, so that an animation becomes WebP; without loss WebP is the smaller one, and AVIF cannot be written so everywhere.
func (c class) format(s transform.Spec, moving bool, writes func(transform.Format) bool) transform.Format {
	still := !moving || s.Still || s.Page != 0
	switch {
	case c >= classAVIF && still && !s.Lossless && writes(transform.AVIF):
		return transform.AVIF
	case (c == classWebP || c == classAVIFWebP) && writes(transform.WebP):
		return transform.WebP
	}
	return s.Format
}

// Media ranges that are looked for.
const (
	nameAVIF = iota
	nameWebP
	nameJPEG
	namePNG
	nameGIF
	namePictures
	nameAll
	numNames
)

var acceptNames = [numNames]string{"image/avif", "image/webp", "image/jpeg", "image/png", "image/gif", "image/*", "*/*"}

// weight is a quality value in thousandths.
type weight struct {
	q     int
	given bool
}

// weights are those of the media ranges that are looked for. Where one is given twice the first counts.
type weights struct{ named [numNames]weight }

// of returns the weight of a type by the most specific range that holds it, 0 when none does.
func (w *weights) of(name int) int {
	for _, i := range [...]int{name, namePictures, nameAll} {
		if w.named[i].given {
			return w.named[i].q
		}
	}
	return 0
}

// read takes in one line of the header.
func (w *weights) read(line []byte) {
	for len(line) > 0 {
		var element []byte
		element, line = cutOutside(line, ',')
		name, parameters := cutOutside(element, ';')
		name = bytes.Trim(name, " \t")
		for i, known := range acceptNames {
			if len(name) == len(known) && strings.EqualFold(string(name), known) && !w.named[i].given {
				w.named[i] = weight{quality(parameters), true}
			}
		}
	}
}

// quality returns the weight among parameters, thousandths: 1000 without one, 0 for one that is malformed.
func quality(parameters []byte) int {
	for len(parameters) > 0 {
		var parameter []byte
		parameter, parameters = cutOutside(parameters, ';')
		name, value, _ := bytes.Cut(parameter, []byte("="))
		if name = bytes.Trim(name, " \t"); len(name) == 1 && name[0]|0x20 == 'q' {
			return thousandths(bytes.Trim(value, " \t"))
		}
	}
	return 1000
}

// thousandths reads a qvalue (RFC 9110 section 12.4.2); digits beyond the third are dropped.
func thousandths(value []byte) int {
	if len(value) == 0 || value[0] != '0' && value[0] != '1' || len(value) > 1 && value[1] != '.' {
		return 0
	}
	q, unit := int(value[0]-'0')*1000, 100
	for _, digit := range value[min(2, len(value)):] {
		if digit < '0' || digit > '9' {
			return 0
		}
		q += int(digit-'0') * unit
		unit /= 10
	}
	if q > 1000 {
		return 0
	}
	return q
}

// cutOutside cuts s at the first separator that is not inside a quoted string.
func cutOutside(s []byte, separator byte) (before, after []byte) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++
		case !quoted && s[i] == separator:
			return s[:i], s[i+1:]
		}
	}
	return s, nil
}

// classOf returns the class of the viewer where r negotiates.
func (p *Proxy) classOf(ctx *fasthttp.RequestCtx, r *Request) class {
	if !r.negotiates() {
		return classOwn
	}
	return p.classBy(ctx.Request.Header.PeekAll(fasthttp.HeaderAccept), r)
}

// classBy is classOf for a viewer who sends these lines of Accept.
func (p *Proxy) classBy(accept [][]byte, r *Request) class {
	c := classify(accept)
	switch {
	case !r.WebPOnly:
		return c
	case c == classWebP || c == classAVIFWebP:
		return classWebP
	}
	return classOwn
}

// varyByPath names what the answer to a target depends on that could not be read as a request.
func varyByPath(path, query string) string {
	negotiated := "." + transform.Auto.Ext()
	if len(path) >= len(negotiated) && strings.EqualFold(path[len(path)-len(negotiated):], negotiated) || asksWebP(query) {
		return fasthttp.HeaderAccept
	}
	return ""
}

// asksWebP tells whether a raw query holds allow_webp=true.
func asksWebP(query string) bool { return holds(query, "allow_webp=true") }

// holds tells whether a raw query holds a pair, spelled so.
func holds(query, pair string) bool {
	for other := range strings.SplitSeq(query, "&") {
		if other == pair {
			return true
		}
	}
	return false
}
