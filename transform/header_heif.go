package transform

const (
	maxHEIFItems = 4096 // a 48-megapixel phone picture has about 200 tiles
	maxHEIFTiles = 1024 // of one grid

	maxHEIFDerived = 256 // items made from others: grids of the picture, its alpha, its gain map and its depths
)

// sniffBrands tells AVIF and HEIC apart by the brands of an ftyp box (ISO/IEC 14496-12, 4.3), the major one first. A file that
// claims only the container's own brands counts as HEIC until its items are read.
func sniffBrands(data []byte) Format {
	_, body, _, ok := nextBox(data)
	if !ok || len(body) < 8 {
		return Source
	}
	container := false
	for at := 0; at+4 <= len(body); at += 4 {
		if at == 4 { // the minor version
			continue
		}
		switch string(body[at : at+4]) {
		case "avif", "avis":
			return AVIF
		case "heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs":
			return HEIC
		case "mif1", "mif2", "msf1":
			container = true
		}
	}
	if container {
		return HEIC
	}
	return Source
}

// heifReader gathers a Header from the parts of a meta box (ISO/IEC 23008-12).
type heifReader struct {
	file    []byte
	brand   Format
	parts   map[string][]byte // children of the meta box that are needed
	primary uint64            // item id
	kind    string            // of the primary item
	kinds   map[uint64]string // of the items that are derived from others, by id
	codec   Format            // of the coded items, tiles included
	width   uint64            // of the primary item before rotation, pixels
	height  uint64
	header  Header
}

// heifParts are the children of a meta box that say what the primary item is.
var heifParts = map[string]bool{"pitm": true, "iinf": true, "iprp": true, "iloc": true, "idat": true, "iref": true}

// heifHeader reads AVIF and HEIC. Only the primary item is used: Frames is 1 always, in sequences too. Its size is the one shown,
// rotated by irot, since decoders of this family rotate by themselves: Orientation is 1 always. A clean aperture only makes the
// picture smaller, and is not subtracted.
func heifHeader(data []byte) (Header, error) {
	r := heifReader{file: data, brand: sniffBrands(data)}
	r.header = Header{Format: r.brand, Frames: 1, Orientation: 1}
	meta, err := r.findMeta()
	if err != nil {
		return Header{}, err
	}
	for _, step := range []func() error{
		func() error { return r.collect(meta) },
		r.readPrimary, r.readItems, r.readReferences, r.readProperties, r.readExtents, r.readGrid,
	} {
		if err := step(); err != nil {
			return Header{}, err
		}
	}
	return r.header, nil
}

// findMeta returns the body of the only meta box. The box after it may be cut off: that is where pixels are.
func (r *heifReader) findMeta() ([]byte, error) {
	var meta []byte
	for rest := r.file; len(rest) > 0; {
		name, body, after, ok := nextBox(rest)
		if !ok {
			if meta != nil {
				break
			}
			return nil, malformed(r.brand, "a box is longer than the file")
		}
		if string(name) == "meta" {
			if meta != nil {
				return nil, malformed(r.brand, "it has two meta boxes")
			}
			if len(body) < 4 {
				return nil, malformed(r.brand, "the meta box is too short")
			}
			meta = body[4:]
		}
		rest = after
	}
	if meta == nil {
		return nil, malformed(r.brand, "it has no meta box")
	}
	return meta, nil
}

func (r *heifReader) collect(meta []byte) error {
	r.kinds = map[uint64]string{}
	r.parts = make(map[string][]byte, len(heifParts))
	for rest := meta; len(rest) > 0; {
		name, body, after, ok := nextBox(rest)
		if !ok {
			return malformed(r.brand, "a box is longer than the one around it")
		}
		if heifParts[string(name)] {
			if r.parts[string(name)] != nil {
				return malformed(r.brand, "box %s is there twice", name)
			}
			r.parts[string(name)] = body
		}
		rest = after
	}
	return nil
}

func (r *heifReader) readPrimary() error {
	c := boxCursor{data: r.parts["pitm"]}
	version, _ := c.fullBox()
	r.primary = c.number(idSize(version, 1))
	if c.short {
		return malformed(r.brand, "it names no primary item")
	}
	return nil
}

// readItems finds the primary item's kind, and with it the format.
func (r *heifReader) readItems() error {
	c := boxCursor{data: r.parts["iinf"]}
	version, _ := c.fullBox()
	c.number(idSize(version, 1)) // how many: the boxes are counted instead
	items := 0
	for rest := c.data; len(rest) > 0; {
		name, body, after, ok := nextBox(rest)
		if !ok {
			return malformed(r.brand, "an item is longer than the list of items")
		}
		rest = after
		if items++; items > maxHEIFItems {
			return tooMuch(r.brand, "it has more than %d items", maxHEIFItems)
		}
		if string(name) == "infe" {
			r.item(body)
		}
	}
	switch r.kind {
	case "av01", "hvc1": // whatever the thumbnails and the like are
		r.codec = heifCodecs[r.kind]
	case "grid":
	case "":
		return malformed(r.brand, "the primary item is not there")
	default:
		return unsupported(r.brand, "its primary item is neither AV1, HEVC nor a grid of such")
	}
	if r.codec == Source {
		return malformed(r.brand, "its grid has no tiles")
	}
	r.header.Format = r.codec
	return nil
}

// heifCodecs are the kinds of coded items that are decoded.
var heifCodecs = map[string]Format{"av01": AVIF, "hvc1": HEIC}

func (r *heifReader) item(body []byte) {
	c := boxCursor{data: body}
	version, _ := c.fullBox()
	if version < 2 { // of no kind
		return
	}
	id := c.number(idSize(version, 3))
	c.number(2) // protection
	kind := c.take(4)
	if c.short {
		return
	}
	if id == r.primary && r.kind == "" {
		r.kind = string(kind)
	}
	switch string(kind) {
	case "grid", "iden", "iovl":
		if len(r.kinds) <= maxHEIFDerived {
			r.kinds[id] = string(kind)
		}
	}
	if codec, ok := heifCodecs[string(kind)]; ok && r.codec == Source {
		r.codec = codec
	}
}

// idSize is the size of an item id or count, bytes: 2, and 4 from a version of its box on.
func idSize(version byte, wide byte) int {
	if version >= wide {
		return 4
	}
	return 2
}

// nextBox splits the first box off data (ISO/IEC 14496-12, 4.2). It answers false when the box is not all there.
func nextBox(data []byte) (name, body, after []byte, ok bool) {
	c := boxCursor{data: data}
	size := c.number(4)
	name = c.take(4)
	head := uint64(8)
	switch size {
	case 0: // up to the end
		size = uint64(len(data))
	case 1:
		size = c.number(8)
		head = 16
	}
	if c.short || size < head || size > uint64(len(data)) {
		return name, nil, nil, false
	}
	return name, data[head:size], data[size:], true
}

// boxCursor reads numbers off a box's body. Once the body is too short all further reads give zero.
type boxCursor struct {
	data  []byte
	short bool
}

// take returns the next n bytes; nil when they are not there.
func (c *boxCursor) take(n uint64) []byte {
	if n > uint64(len(c.data)) {
		c.data, c.short = nil, true
		return nil
	}
	taken := c.data[:n]
	c.data = c.data[n:]
	return taken
}

// number returns the next size bytes, at most 8, as a number, highest byte first; 0 for a size of 0.
func (c *boxCursor) number(size int) uint64 {
	var n uint64
	for _, b := range c.take(uint64(size)) {
		n = n<<8 | uint64(b)
	}
	return n
}

// fullBox reads the version and the flags that open many boxes.
func (c *boxCursor) fullBox() (version byte, flags uint32) {
	n := c.number(4)
	return byte(n >> 24), uint32(n & 0xFFFFFF)
}
