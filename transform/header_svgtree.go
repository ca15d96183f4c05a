package transform

// svgElement is an element of an SVG, as far as it bears on how much is drawn.
type svgElement struct {
	name     string
	id       string
	weight   int // as how many elements it counts, without those in it and those it refers to
	vertices int // of its path, at least; a marker is drawn at each
	children []int
	refs     []svgRef

	state svgState
	drawn int // elements drawn for this one, itself included
	depth int
}

// svgRef is a reference to elements of an id.
type svgRef struct {
	id     string
	marker bool
}

// svgState tells how far an element has been measured.
type svgState uint8

const (
	svgUnseen svgState = iota
	svgOpen
	svgDone
)

// checkDrawn follows all references and bounds what is drawn: a dozen elements that refer to each other twice over would draw
// thousands. A style sheet's references count for every element.
func (r *svgReader) checkDrawn() error {
	if err := r.measure(0); err != nil {
		return err
	}
	factor := 1
	for _, id := range r.styled {
		for _, i := range r.ids[id] {
			if err := r.measure(i); err != nil {
				return err
			}
			factor = min(factor+r.elements[i].drawn, maxSVGDrawn)
		}
	}
	if r.elements[0].drawn*factor > maxSVGDrawn {
		return tooMuch(SVG, "its references draw more than %d elements", maxSVGDrawn)
	}
	return nil
}

// measure fills in how much is drawn for element i.
func (r *svgReader) measure(i int) error {
	e := &r.elements[i]
	switch e.state {
	case svgDone:
		return nil
	case svgOpen:
		return malformed(SVG, "its references form a loop")
	}
	e.state = svgOpen
	for _, child := range e.children {
		if err := r.add(e, child, 1); err != nil {
			return err
		}
	}
	for _, ref := range e.refs {
		times := 1
		if ref.marker {
			times = max(e.vertices, 1)
		}
		for _, target := range r.ids[ref.id] {
			if err := r.add(e, target, times); err != nil {
				return err
			}
		}
	}
	e.depth++
	if e.depth > 2*maxSVGDepth {
		return tooMuch(SVG, "its references are more than %d deep", 2*maxSVGDepth)
	}
	e.drawn = min(e.drawn+e.weight, maxSVGDrawn+1)
	e.state = svgDone
	return nil
}

// add counts element i, drawn a number of times, towards e.
func (r *svgReader) add(e *svgElement, i, times int) error {
	if err := r.measure(i); err != nil {
		return err
	}
	e.drawn = min(e.drawn+times*r.elements[i].drawn, maxSVGDrawn+1)
	e.depth = max(e.depth, r.elements[i].depth)
	return nil
}
