package transform

import "bytes"

// What HEIF files are made of (ISO/IEC 14496-12 and 23008-12): all other boxes are blanked.
var (
	heifBoxes  = boxSet("ftyp", "styp", "mdat", "imda", "pdin", "meta", "moov")
	metaBoxes  = boxSet("hdlr", "pitm", "iinf", "iprp", "iloc", "idat", "iref", "dinf", "grpl", "ipro")
	movieBoxes = boxSet("mvhd", "mvex", "trak", "meta")
	trackBoxes = boxSet("tkhd", "edts", "tref", "trgr", "mdia", "meta")
)

// What stands in the place of an item's bytes, where there is room: EXIF that says nothing (ISO/IEC 23008-12, A.2.1; TIFF 6.0,
// section 2), and XMP that says nothing.
var (
	emptyEXIF = []byte("\x00\x00\x00\x06Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00")
	emptyXMP  = []byte(`<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>`)
)

// filling is what an item's bytes become: what, and then fill.
type filling struct {
	what []byte
	fill byte
}

// blankHEIF blanks AVIF and HEIC. Items stay where they are, for others are found by their offsets in the file; what they hold
// does not.
func blankHEIF(data []byte) (changed bool, err error) {
	b := heifBlanker{heifReader: heifReader{file: data, brand: sniffBrands(data)}}
	eachBox(data, func(name, body []byte) {
		switch {
		case b.err != nil:
		case !heifBoxes[string(name)]:
			b.free(name, body)
		case string(name) == "meta":
			b.meta(body)
		case string(name) == "moov":
			b.movie(body)
		}
	})
	return b.changed, b.err
}

type heifBlanker struct {
	heifReader
	changed bool
	err     error
}

func (b *heifBlanker) free(name, body []byte) { b.changed = freeBox(name, body) || b.changed }

func (b *heifBlanker) refuse(what string) {
	if b.err == nil {
		b.err = unsupported(b.brand, what+blankRemedy)
	}
}

// movie blanks what sequences say beside their pictures.
func (b *heifBlanker) movie(moov []byte) {
	b.within(moov, movieBoxes, func(trak []byte) {
		b.within(trak, trackBoxes, nil)
	})
}

// within blanks what is in a movie, or in a track of it, and has inner look at its tracks.
func (b *heifBlanker) within(box []byte, kept map[string]bool, inner func(trak []byte)) {
	eachBox(box, func(name, body []byte) {
		switch {
		case b.err != nil:
		case !kept[string(name)]:
			b.free(name, body)
		case string(name) == "meta": // its items are among the file's bytes; that of QuickTime has none
			b.meta(body)
			b.free(name, body)
		case string(name) == "trak" && inner != nil:
			inner(body)
		case string(name) == "mdia":
			b.media(body)
		}
	})
}

// media refuses tracks that are no pictures: what they say may be a place.
func (b *heifBlanker) media(mdia []byte) {
	eachBox(mdia, func(name, body []byte) {
		if string(name) != "hdlr" {
			return
		}
		c := boxCursor{data: body}
		c.take(8) // version, flags, and four bytes of nothing
		switch string(c.take(4)) {
		case "pict", "vide", "auxv":
		default:
			b.refuse("it has a track that is no picture")
		}
	})
}

// meta blanks what a meta box has beside pictures, and the items that are none.
func (b *heifBlanker) meta(body []byte) {
	if len(body) < 4 {
		return
	}
	body = body[4:]
	eachBox(body, func(name, inner []byte) {
		if !metaBoxes[string(name)] {
			b.free(name, inner)
		}
	})
	if err := b.collect(body); err != nil {
		b.err = err
		return
	}
	b.descriptions()
	told := b.told()
	if b.err == nil && len(told) > 0 {
		b.blankItems(told)
	}
}

// descriptions blanks the texts among the properties (udes: a language, a name, a description and tags, each ended by a zero). They
// keep their places, for properties are known by their numbers.
func (b *heifBlanker) descriptions() {
	properties, _, err := b.associations()
	if err != nil {
		b.err = err
		return
	}
	eachBox(properties, func(name, body []byte) {
		if string(name) == "udes" || string(name) == "altt" {
			b.changed = overwrite(body[min(4, len(body)):], nil, 0) || b.changed
		}
	})
}

// told returns the items that are no pictures, and what they become.
func (b *heifBlanker) told() map[uint64]filling {
	c := boxCursor{data: b.parts["iinf"]}
	version, _ := c.fullBox()
	c.number(idSize(version, 1))
	told := map[uint64]filling{}
	items := 0
	eachBox(c.data, func(_, body []byte) {
		if items++; items > maxHEIFItems {
			b.refuse("it has too many items")
			return
		}
		b.item(told, body)
	})
	return told
}

func (b *heifBlanker) item(told map[uint64]filling, body []byte) {
	c := boxCursor{data: body}
	version, _ := c.fullBox()
	id := c.number(idSize(version, 3))
	c.number(2) // protection
	if version < 2 {
		told[id] = filling{} // of no kind: no picture
		return
	}
	switch string(c.take(4)) {
	case "Exif":
		told[id] = filling{what: emptyEXIF}
	case "mime":
		texts := bytes.SplitN(c.data, []byte{0}, 4) // a name, the type, how it is packed
		if len(texts) > 2 && len(texts[2]) > 0 {
			b.refuse("its metadata is packed")
		}
		told[id] = filling{what: emptyXMP, fill: ' '}
	case "uri ":
		told[id] = filling{}
	case "jpeg": // which has metadata of its own
		b.refuse("it has a JPEG within")
	}
}

// blankItems overwrites items where they are. What is theirs and a picture's too is refused.
func (b *heifBlanker) blankItems(told map[uint64]filling) {
	var pieces [2]spans // of the file, and of the idat box
	type place struct {
		item  uint64
		piece []byte
	}
	var places []place
	tells := func(item uint64) bool { _, ok := told[item]; return ok }
	read := b.eachExtent(tells, func(e itemExtent) {
		piece := b.extent(e.method, e.at, e.length)
		if e.elsewhere || len(piece) == 0 || e.count > 1 {
			b.refuse("its metadata is in pieces, or not in it")
			return
		}
		pieces[e.method] = append(pieces[e.method], span{e.at, e.at + e.length})
		places = append(places, place{e.item, piece})
	})
	pieces[0], pieces[1] = pieces[0].settled(), pieces[1].settled()
	shared := false
	b.eachExtent(func(item uint64) bool { return !tells(item) }, func(e itemExtent) {
		shared = shared || e.method < 2 && pieces[e.method].touches(e.at, e.at+e.length)
	})
	if !read || shared {
		b.refuse("its metadata cannot be told from its pictures")
	}
	if b.err != nil {
		return
	}
	for _, p := range places {
		b.changed = overwrite(p.piece, told[p.item].what, told[p.item].fill) || b.changed
	}
}
