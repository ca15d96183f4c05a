package transform

import "bytes"

// propertySet holds the numbers, from 1, of the properties of one item: 15 bits each (ISO/IEC 23008-12, 9.3).
type propertySet [1 << 15 / 64]uint64

func (s *propertySet) add(n uint64) { s[n>>6&511] |= 1 << (n & 63) }

func (s *propertySet) has(n int) bool { return n < 1<<15 && s[n>>6]>>(n&63)&1 != 0 }

// alphaAuxiliaries are the names that mark an item as another one's transparency (ISO/IEC 23008-12, 6.5.8; MIAF).
var alphaAuxiliaries = [][]byte{
	[]byte("urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\x00"),
	[]byte("urn:mpeg:hevc:2015:auxid:1\x00"),
}

// readProperties takes the primary item's size and rotation from the properties that belong to it.
func (r *heifReader) readProperties() error {
	properties, set, err := r.associations()
	if err != nil {
		return err
	}
	var largest uint64
	quarters, n := 0, 0
	for rest := properties; len(rest) > 0; {
		name, body, after, ok := nextBox(rest)
		if !ok {
			return malformed(r.brand, "a property is longer than the list of properties")
		}
		rest = after
		n++
		switch string(name) {
		case "ispe":
			c := boxCursor{data: body}
			c.fullBox()
			width, height := c.number(4), c.number(4)
			largest = max(largest, width*height)
			if set.has(n) {
				r.width, r.height = max(r.width, width), max(r.height, height)
			}
		case "irot":
			if set.has(n) && len(body) > 0 {
				quarters += int(body[0] & 3)
			}
		case "auxC":
			r.header.Alpha = r.header.Alpha || isAlpha(body)
		}
	}
	return r.settle(largest, quarters)
}

func isAlpha(body []byte) bool {
	c := boxCursor{data: body}
	c.fullBox()
	for _, name := range alphaAuxiliaries {
		if bytes.HasPrefix(c.data, name) {
			return true
		}
	}
	return false
}

// settle checks the sizes found. Limits are asked about the primary item alone, so no other item, a tile say, may be larger than
// both it and what is accepted by default.
func (r *heifReader) settle(largest uint64, quarters int) error {
	if r.width == 0 || r.height == 0 {
		return malformed(r.brand, "the primary item has no size")
	}
	allowed := max(r.width*r.height, uint64(DefaultLimits().SourcePixels))
	if largest > allowed {
		return tooMuch(r.brand, "an item of it declares %d pixels", largest)
	}
	r.header.Width, r.header.Height = int(r.width), int(r.height)
	if quarters%2 != 0 {
		r.header.Width, r.header.Height = r.header.Height, r.header.Width
	}
	return nil
}

// associations returns the list of properties, and which of them are the primary item's.
func (r *heifReader) associations() (properties []byte, set *propertySet, err error) {
	set = new(propertySet)
	for rest := r.parts["iprp"]; len(rest) > 0; {
		name, body, after, ok := nextBox(rest)
		if !ok {
			return nil, nil, malformed(r.brand, "a list of properties is longer than the box around it")
		}
		rest = after
		switch string(name) {
		case "ipco":
			if properties != nil {
				return nil, nil, malformed(r.brand, "it has two lists of properties")
			}
			properties = body
		case "ipma":
			r.associate(body, set)
		}
	}
	return properties, set, nil
}

// associate adds the primary item's properties that an ipma box lists.
func (r *heifReader) associate(body []byte, set *propertySet) {
	c := boxCursor{data: body}
	version, flags := c.fullBox()
	size := 1 + int(flags&1)
	mask := uint64(1)<<(8*size-1) - 1 // the highest bit tells that the property is essential
	for items := c.number(4); items > 0 && !c.short; items-- {
		id := c.number(idSize(version, 1))
		for n := c.number(1); n > 0 && !c.short; n-- {
			if property := c.number(size); id == r.primary {
				set.add(property & mask)
			}
		}
	}
}

// readGrid checks the description of a grid of tiles (ISO/IEC 23008-12, 6.6.2.3), whose size is the one that is allocated.
func (r *heifReader) readGrid() error {
	if r.kind != "grid" {
		return nil
	}
	c := boxCursor{data: r.primaryData()}
	c.number(1) // version
	flags := c.number(1)
	rows, columns := c.number(1)+1, c.number(1)+1
	size := 2 + 2*int(flags&1)
	width, height := c.number(size), c.number(size)
	switch {
	case c.short:
		return malformed(r.brand, "its grid is not described")
	case rows*columns > maxHEIFTiles:
		return tooMuch(r.brand, "its grid has more than %d tiles", maxHEIFTiles)
	case width != r.width || height != r.height:
		return malformed(r.brand, "its grid differs in size from what it declares")
	}
	return nil
}

// primaryData returns the bytes of the primary item if they are in one piece in this file; else nil.
func (r *heifReader) primaryData() (data []byte) {
	r.eachExtent(func(item uint64) bool { return item == r.primary }, func(e itemExtent) {
		if data = nil; e.count == 1 {
			data = r.extent(e.method, e.at, e.length)
		}
	})
	return data
}

// itemExtent is one of the pieces that an item's bytes are in.
type itemExtent struct {
	item       uint64
	count      uint64 // how many pieces the item has; of several one is told where a piece takes no bytes to describe
	method     uint64 // 0 in the file, 1 in the idat box, 2 in another item
	elsewhere  bool   // in another file
	at, length uint64
}

// maxHEIFOffset is far beyond every file here, and keeps sums of two within 64 bits.
const maxHEIFOffset = 1 << 40

// eachExtent visits the pieces of the wanted items in the iloc box (ISO/IEC 14496-12, 8.11.3), and tells whether all of it could be
// read. What lies beyond every file is told to be there.
func (r *heifReader) eachExtent(wanted func(item uint64) bool, visit func(itemExtent)) bool {
	c := boxCursor{data: r.parts["iloc"]}
	version, _ := c.fullBox()
	sizes := c.number(2)
	offsetSize, lengthSize, baseSize, indexSize := int(sizes>>12), int(sizes>>8&15), int(sizes>>4&15), int(sizes&15)
	if version == 0 {
		indexSize = 0
	}
	if max(offsetSize, lengthSize, baseSize, indexSize) > 8 {
		return false
	}
	for items := c.number(idSize(version, 2)); items > 0 && !c.short; items-- {
		e := itemExtent{item: c.number(idSize(version, 2))}
		if version > 0 {
			e.method = c.number(2) & 15
		}
		e.elsewhere = c.number(2) != 0
		base := c.number(baseSize)
		e.count = c.number(2)
		pieces, size := e.count, uint64(indexSize+offsetSize+lengthSize)
		if size == 0 {
			pieces = min(pieces, 1)
		}
		if !wanted(e.item) {
			c.take(pieces * size)
			continue
		}
		for ; pieces > 0; pieces-- {
			c.number(indexSize)
			e.at = min(base, maxHEIFOffset) + min(c.number(offsetSize), maxHEIFOffset)
			e.length = min(c.number(lengthSize), maxHEIFOffset)
			if c.short {
				return false
			}
			visit(e)
		}
	}
	return !c.short
}

// extent returns part of the file (method 0) or of the idat box (method 1).
func (r *heifReader) extent(method, offset, length uint64) []byte {
	source := r.file
	switch method {
	case 0:
	case 1:
		source = r.parts["idat"]
	default:
		return nil
	}
	c := boxCursor{data: source}
	c.take(offset)
	return c.take(length)
}
