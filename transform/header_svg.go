package transform

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
)

// What an SVG may ask for. Drawings of maps and charts have a few thousand elements and a depth of about ten.
const (
	maxSVGBytes    = 2 << 20
	maxSVGElements = 20_000
	maxSVGDepth    = 32      // elements within elements, references followed; each may need a surface of its own
	maxSVGDrawn    = 100_000 // elements drawn, references followed
	maxSVGSide     = 1 << 20 // pixels

	// Which of several elements of one id is meant differs between readers, so that all count.
	maxSVGNamesakes = 64
)

// svgHeader reads an SVG that draws on nothing but itself. Refused are entities and processing instructions, references to
// anything but fragments of the file (data: URLs too), embedded pictures and inclusions, and trees that a few references blow
// up. Its size is in CSS pixels at 96 a inch, from width and height, else from the viewBox. Scripts are no fault: nothing here
// runs them.
//
// Other than for pictures the memory this takes is a few times the file's size, which is bounded.
func svgHeader(data []byte) (Header, error) {
	if len(data) > maxSVGBytes {
		return Header{}, tooMuch(SVG, "it has more than %d bytes", maxSVGBytes)
	}
	r := svgReader{ids: map[string][]int{}}
	decoder := xml.NewDecoder(bytes.NewReader(data))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Header{}, malformed(SVG, "it is no well-formed XML in UTF-8")
		}
		if err := r.token(token); err != nil {
			return Header{}, err
		}
	}
	if r.header.Format != SVG {
		return Header{}, malformed(SVG, "it has no svg element")
	}
	if err := r.checkMatches(); err != nil {
		return Header{}, err
	}
	return r.header, r.checkDrawn()
}

// svgReader gathers a Header and the tree of references from XML.
type svgReader struct {
	header   Header
	elements []svgElement
	open     []int // the elements around the next token, outermost first
	ids      map[string][]int
	styled   []string // fragments that style sheets refer to
	rules    int      // of style sheets
	placed   int      // conditions of these on an element's place among its siblings
	text     int      // bytes
}

func (r *svgReader) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.ProcInst:
		if t.Target != "xml" {
			return unsupported(SVG, "it has processing instructions")
		}
	case xml.Directive:
		// A document type without declarations of its own declares no entity; nobody fetches the one it names.
		if bytes.ContainsAny(t, "[<%") {
			return unsupported(SVG, "its document type declares something")
		}
	case xml.StartElement:
		return r.start(t)
	case xml.EndElement:
		r.open = r.open[:len(r.open)-1]
	case xml.CharData:
		if len(r.open) > 0 && r.elements[r.open[len(r.open)-1]].name == "style" {
			return r.style(string(t))
		}
		if r.within("text") {
			if r.text += len(t); r.text > maxSVGText {
				return tooMuch(SVG, "it has more than %d bytes of text", maxSVGText)
			}
		}
	}
	return nil
}

// svgBanned are the elements that bring in something from outside, by their local names.
var svgBanned = map[string]bool{"image": true, "feimage": true, "include": true, "foreignobject": true, "iframe": true}

func (r *svgReader) start(t xml.StartElement) error {
	e := svgElement{name: strings.ToLower(t.Name.Local)}
	e.weight = svgWeight(e.name)
	switch {
	case svgBanned[e.name]:
		return unsupported(SVG, "it holds an element %s", e.name)
	case len(r.elements) == maxSVGElements:
		return tooMuch(SVG, "it has more than %d elements", maxSVGElements)
	case len(r.open) == maxSVGDepth:
		return tooMuch(SVG, "its elements are more than %d deep", maxSVGDepth)
	case len(r.elements) > 0 && len(r.open) == 0:
		return malformed(SVG, "it has two outermost elements")
	case len(r.elements) == 0 && e.name != "svg":
		return unsupported(SVG, "its outermost element is not svg")
	}
	for _, a := range t.Attr {
		if err := r.attribute(&e, strings.ToLower(a.Name.Local), a.Value); err != nil {
			return err
		}
	}
	index := len(r.elements)
	if index > 0 {
		parent := &r.elements[r.open[len(r.open)-1]]
		parent.children = append(parent.children, index)
		if e.name == "stop" && len(parent.children) > maxSVGStops {
			return tooMuch(SVG, "a gradient has more than %d stops", maxSVGStops)
		}
	} else if err := r.size(t.Attr); err != nil {
		return err
	}
	r.elements = append(r.elements, e)
	r.open = append(r.open, index)
	if e.id != "" {
		if r.ids[e.id] = append(r.ids[e.id], index); len(r.ids[e.id]) > maxSVGNamesakes {
			return malformed(SVG, "more than %d elements have one id", maxSVGNamesakes)
		}
	}
	return nil
}

// attribute notes what an attribute refers to.
func (r *svgReader) attribute(e *svgElement, name, value string) error {
	switch name {
	case "id":
		e.id = value
	case "numoctaves":
		return octaves(value)
	case "d", "points":
		e.vertices = len(value)/2 + 1 // no fewer than there are
	case "href", "src":
		if e.name == "a" && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(value)), "data:") {
			return nil // where a click would lead
		}
		target, ok := strings.CutPrefix(strings.TrimSpace(value), "#")
		if !ok {
			return unsupported(SVG, "it refers to something outside the file")
		}
		e.refs = append(e.refs, svgRef{id: target})
	default:
		refs, err := svgURLs(value)
		if err != nil {
			return err
		}
		e.weight += svgFunctions(value)
		marker := strings.Contains(name, "marker") || strings.Contains(strings.ToLower(value), "marker")
		for _, id := range refs {
			e.refs = append(e.refs, svgRef{id: id, marker: marker})
		}
	}
	return nil
}

// style notes what a style sheet refers to.
func (r *svgReader) style(text string) error {
	lower := strings.ToLower(text)
	if strings.Contains(lower, "@import") || strings.Contains(lower, "marker") {
		return unsupported(SVG, "its style sheet imports, or sets markers")
	}
	r.selectors(lower)
	refs, err := svgURLs(text)
	r.styled = append(r.styled, refs...)
	return err
}

// svgURLs returns the fragments that the url() of a text in CSS name. A backslash may spell any letter, that of url included.
func svgURLs(text string) ([]string, error) {
	var list []string
	lower := strings.ToLower(text)
	if strings.Contains(text, "\\") && strings.ContainsAny(text, "(:") {
		return nil, unsupported(SVG, "it has escapes in its styles")
	}
	for at := strings.Index(lower, "url("); at >= 0; at = strings.Index(lower, "url(") {
		text, lower = text[at+4:], lower[at+4:]
		name, _, _ := strings.Cut(text, ")")
		target, ok := strings.CutPrefix(strings.Trim(name, " \t\r\n\"'"), "#")
		if !ok {
			return nil, unsupported(SVG, "it refers to something outside the file")
		}
		list = append(list, target)
	}
	return list, nil
}

// size reads the size from the outermost element.
func (r *svgReader) size(attributes []xml.Attr) error {
	var width, height, boxWidth, boxHeight float64
	for _, a := range attributes {
		switch a.Name.Local {
		case "width":
			width = svgLength(a.Value)
		case "height":
			height = svgLength(a.Value)
		case "viewBox":
			fields := strings.FieldsFunc(a.Value, func(c rune) bool { return strings.ContainsRune(", \t\r\n", c) })
			if len(fields) == 4 {
				boxWidth, boxHeight = svgLength(fields[2]), svgLength(fields[3])
			}
		}
	}
	boxed := boxWidth > 0 && boxHeight > 0
	switch {
	case width > 0 && height > 0:
	case !boxed:
		return malformed(SVG, "it states no size")
	case width > 0:
		height = width * boxHeight / boxWidth
	case height > 0:
		width = height * boxWidth / boxHeight
	default:
		width, height = boxWidth, boxHeight
	}
	if width > maxSVGSide || height > maxSVGSide {
		return tooMuch(SVG, "it declares a side of more than %d pixels", maxSVGSide)
	}
	whole := func(side float64) int { return max(1, int(math.Round(side))) }
	r.header = Header{Format: SVG, Width: whole(width), Height: whole(height), Frames: 1, Orientation: 1, Alpha: true}
	return nil
}

// svgUnits are the absolute lengths of CSS Values 3 (section 6.2), pixels.
var svgUnits = map[string]float64{"": 1, "px": 1, "pt": 96. / 72, "pc": 16, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96}

// svgLength returns a length in pixels; 0 when it is none, or not an absolute one.
func svgLength(s string) float64 {
	s = strings.TrimSpace(s)
	number := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ%")
	value, err := strconv.ParseFloat(number, 64)
	unit, ok := svgUnits[strings.ToLower(s[len(number):])]
	if err != nil || !ok || !(value > 0) || math.IsInf(value, 0) {
		return 0
	}
	return value * unit
}
