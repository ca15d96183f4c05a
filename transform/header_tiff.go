package transform

import "strconv"

// Tags of TIFF 6.0, and the types of compression in libtiff's tiff.h, that are looked at.
const (
	tagWidth       = 0x0100
	tagHeight      = 0x0101
	tagBits        = 0x0102
	tagCompression = 0x0103
	tagSamples     = 0x0115
	tagTileWidth   = 0x0142
	tagTileHeight  = 0x0143
	tagExtra       = 0x0152
)

const (
	maxTIFFPages   = 1000
	maxTIFFEntries = 512  // fields of a directory; baseline pictures have about 15, camera ones under 100
	maxTIFFSamples = 5    // CMYK and alpha
	maxTIFFTile    = 4096 // pixels, either side; a decoder holds whole tiles, however small the picture
)

// tiffCompressions are the schemes that are decoded: none, CCITT (2 to 4), LZW, JPEG, deflate, PackBits, old deflate, Zstandard.
// Old-style JPEG and what only special libraries read are left out.
var tiffCompressions = [...]uint32{1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50000}

// tiffPage is what a directory says of its picture.
type tiffPage struct {
	width, height         uint32
	bits                  uint32
	compression           uint32
	samples               uint32
	tileWidth, tileHeight uint32
	orientation           uint32
	planar                uint32
	alpha                 bool
	entries               map[uint16]ifdEntry // where the pixels are
}

// tiffHeader reads a TIFF's first page. The others are counted: Pages is their number, and Frames is 1 always.
func tiffHeader(data []byte) (Header, error) {
	view, offset, ok := openTIFF(data)
	if !ok {
		return Header{}, unsupported(TIFF, "it is a BigTIFF or ends within the header")
	}
	h, next, err := view.pageHeader(offset)
	if err != nil {
		return Header{}, err
	}
	h.Pages, _, err = view.walkPages(offset, next, 0)
	return h, err
}

// ReadPage returns the header of page n of a source whose header is h; the first is 1. Only the pages of a TIFF have headers
// of their own. Errors are those of ReadHeader, and a *SpecError when there is no such page.
func ReadPage(data []byte, h Header, n int) (Header, error) {
	if n < 1 || n > h.Pages {
		return Header{}, PageError(n, h.Pages)
	}
	if h.Format != TIFF || n == 1 {
		return h, nil
	}
	view, offset, ok := openTIFF(data)
	if !ok {
		return Header{}, malformed(TIFF, "it ends within the header")
	}
	_, next, ok := view.directory(offset)
	if !ok {
		return Header{}, malformed(TIFF, "a directory is outside the file")
	}
	_, at, err := view.walkPages(offset, next, n)
	if err != nil {
		return Header{}, err
	}
	page, _, err := view.pageHeader(at)
	page.Pages = h.Pages
	return page, err
}

// PageError says that a source has no page n but only pages.
func PageError(n, pages int) error {
	hint := "the source has " + strconv.Itoa(pages) + " pages"
	if pages == 1 {
		hint = "the source has one page"
	}
	return &SpecError{Option: "page", Value: strconv.Itoa(n), Hint: hint}
}

// pageHeader reads the directory at offset as the header of a picture, and tells where the next one is.
func (v tiffView) pageHeader(offset uint32) (h Header, next uint32, err error) {
	entries, next, ok := v.directory(offset)
	if !ok {
		return Header{}, 0, malformed(TIFF, "a directory is outside the file")
	}
	if len(entries) > maxTIFFEntries*ifdEntrySize {
		return Header{}, 0, tooMuch(TIFF, "a directory has more than %d fields", maxTIFFEntries)
	}
	page, err := v.page(entries)
	if err != nil {
		return Header{}, 0, err
	}
	if err := page.check(); err != nil {
		return Header{}, 0, err
	}
	if err := v.checkParts(&page); err != nil {
		return Header{}, 0, err
	}
	return Header{
		Format: TIFF, Width: int(page.width), Height: int(page.height), Frames: 1,
		Orientation: orientationOr1(page.orientation), Alpha: page.alpha,
	}, next, nil
}

// page reads the fields of one directory.
func (v tiffView) page(entries []byte) (tiffPage, error) {
	page := tiffPage{bits: 1, compression: 1, samples: 1, entries: map[uint16]ifdEntry{}}
	fields := map[uint16]*uint32{
		tagWidth: &page.width, tagHeight: &page.height, tagCompression: &page.compression, tagSamples: &page.samples,
		tagTileWidth: &page.tileWidth, tagTileHeight: &page.tileHeight, tagOrientation: &page.orientation,
		tagPlanar: &page.planar,
	}
	for ; len(entries) > 0; entries = entries[ifdEntrySize:] {
		e := v.entry(entries)
		if size, known := v.size(e); known && size > uint64(len(v.data)) {
			return tiffPage{}, malformed(TIFF, "a field is longer than the file")
		}
		switch e.tag {
		case tagBits:
			bits, ok := v.short(e)
			if !ok {
				return tiffPage{}, malformed(TIFF, "the bits per sample cannot be read")
			}
			page.bits = bits
		case tagExtra:
			page.alpha = true
		case tagStrips, tagStripSizes, tagTiles, tagTileSizes:
			page.entries[e.tag] = e
		default:
			if field := fields[e.tag]; field != nil {
				value, ok := v.number(e)
				if !ok && e.tag != tagOrientation && e.tag != tagPlanar {
					return tiffPage{}, malformed(TIFF, "field %d is not one number", e.tag)
				}
				*field = value
			}
		}
	}
	return page, nil
}

// short returns the largest of a field's SHORT values.
func (v tiffView) short(e ifdEntry) (uint32, bool) {
	values := e.value
	size := 2 * uint64(e.count)
	if e.kind != kindShort || e.count == 0 || e.count > maxTIFFSamples {
		return 0, false
	}
	if size > uint64(len(values)) {
		offset := uint64(v.order.Uint32(e.value))
		if offset+size > uint64(len(v.data)) {
			return 0, false
		}
		values = v.data[offset:]
	}
	var largest uint32
	for i := range int(e.count) {
		largest = max(largest, uint32(v.order.Uint16(values[2*i:])))
	}
	return largest, true
}

// check refuses pages that no decoder here reads, and pages whose parts are larger than they need be.
func (p *tiffPage) check() error {
	accepted := false
	for _, c := range tiffCompressions {
		accepted = accepted || c == p.compression
	}
	switch {
	case p.width == 0 || p.height == 0:
		return malformed(TIFF, "a side is 0 or absent")
	case !accepted:
		return unsupported(TIFF, "compression %d is not accepted", p.compression)
	case p.samples == 0 || p.bits == 0 || p.bits > 64:
		return malformed(TIFF, "it has %d samples of %d bits", p.samples, p.bits)
	case p.samples > maxTIFFSamples || p.bits > 32:
		return tooMuch(TIFF, "it has %d samples of %d bits per pixel; at most %d of 32 are accepted", p.samples, p.bits, maxTIFFSamples)
	case p.tileWidth > maxTIFFTile || p.tileHeight > maxTIFFTile:
		return tooMuch(TIFF, "it has tiles of more than %d pixels a side", maxTIFFTile)
	}
	return nil
}

// walkPages walks the directories after the first, counts them all, and tells where the wanted one is. A loop is found by
// Brent's method: the offset kept for comparison moves on whenever the steps taken since have doubled.
func (v tiffView) walkPages(first, next uint32, wanted int) (pages int, at uint32, err error) {
	kept, steps, limit := first, 0, 1
	for pages = 1; next != 0; pages++ {
		if pages == maxTIFFPages {
			return 0, 0, tooMuch(TIFF, "it has more than %d pages", maxTIFFPages)
		}
		if pages+1 == wanted {
			at = next
		}
		if next == kept {
			return 0, 0, malformed(TIFF, "its directories form a loop")
		}
		if steps++; steps == limit {
			kept, steps, limit = next, 0, 2*limit
		}
		_, after, ok := v.directory(next)
		if !ok {
			return 0, 0, malformed(TIFF, "a directory is outside the file")
		}
		next = after
	}
	return pages, at, nil
}
