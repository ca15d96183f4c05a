package transform

// tiffPicture are the tags that say how to read pixels, and what they look like (TIFF 6.0; its technical notes 1 and 2; Adobe's
// supplements; ICC.1 annex B.4). All others are taken out of directories.
var tiffPicture = tagSet(
	254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 290, 291, 292, 293, 296,
	297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, tagSubDirectories, 332, 334, 336, 338, 339, 340, 341, 342, 346, 347,
	512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 34675,
)

func tagSet(tags ...uint16) map[uint16]bool {
	set := map[uint16]bool{}
	for _, tag := range tags {
		set[tag] = true
	}
	return set
}

// Tags that point to other directories, or to pixels.
const (
	tagSubDirectories = 330
	tagStrips         = 273
	tagStripSizes     = 279
	tagTiles          = 324
	tagTileSizes      = 325
	tagEXIF           = 34665 // EXIF 2.32, 4.6.3
	tagGPS            = 34853
	tagInterop        = 40965
	tagDNG            = 50706 // DNG 1.6: the version
)

const (
	kindDirectory = 13
	maxTIFFErased = 1 << 16 // pieces of metadata
	maxTIFFStrips = 1 << 22 // and tiles, of all pages
	maxTIFFDepth  = 4       // of directories within each other
)

// tiffBlanker finds what is to be taken out of a TIFF before it takes anything out.
type tiffBlanker struct {
	tiffView
	pages  []uint32 // where the directories of pictures are
	seen   map[uint32]bool
	erased spans
	count  int // of fields to be taken out
	looked int // strips and tiles
}

func blankTIFF(data []byte) (changed bool, err error) {
	view, first, ok := openTIFF(data)
	if !ok {
		return false, malformed(TIFF, "it ends within the header")
	}
	b := tiffBlanker{tiffView: view, seen: map[uint32]bool{}}
	if err := b.look(first, 0); err != nil {
		return false, err
	}
	if b.count == 0 {
		return false, nil
	}
	b.erased = b.erased.settled()
	if b.overlaps() {
		return false, unsupported(TIFF, "what it says beside the picture cannot be told from the picture"+blankRemedy)
	}
	for _, s := range b.erased {
		clear(data[s.from:s.to])
	}
	for _, at := range b.pages {
		b.compact(at)
	}
	return true, nil
}

// look goes through the directories of pictures from one on, and through those within them.
func (b *tiffBlanker) look(at uint32, depth int) error {
	for at != 0 && !b.seen[at] {
		entries, next, err := b.open(at, depth)
		if err != nil {
			return err
		}
		b.pages = append(b.pages, at)
		for ; len(entries) > 0; entries = entries[ifdEntrySize:] {
			e := b.entry(entries)
			switch {
			case e.tag == tagDNG:
				return unsupported(TIFF, "it is a raw photograph, which needs what it says beside the picture"+blankRemedy)
			case !tiffPicture[e.tag]:
				b.count++
				err = b.erase(e, depth)
			case e.tag == tagSubDirectories:
				err = b.follow(e, func(inner uint32) error { return b.look(inner, depth+1) })
			}
			if err != nil {
				return err
			}
		}
		at = next
	}
	return nil
}

// open reads a directory that was not read before.
func (b *tiffBlanker) open(at uint32, depth int) (entries []byte, next uint32, err error) {
	b.seen[at] = true
	entries, next, ok := b.directory(at)
	if !ok || depth > maxTIFFDepth || len(b.seen) > maxTIFFPages || len(entries) > maxTIFFEntries*ifdEntrySize {
		return nil, 0, unsupported(TIFF, "its directories are too many, too long, or outside the file"+blankRemedy)
	}
	return entries, next, nil
}

// follow calls visit with each directory that a field points to.
func (b *tiffBlanker) follow(e ifdEntry, visit func(at uint32) error) error {
	if e.kind != kindLong && e.kind != kindDirectory {
		return nil
	}
	n, list := b.numbers(e)
	for i := range n {
		if at := list(i); at != 0 && !b.seen[at] {
			if err := visit(at); err != nil {
				return err
			}
		}
	}
	return nil
}

// erase notes what a field holds that is not in its directory, and the directories that it points to.
func (b *tiffBlanker) erase(e ifdEntry, depth int) error {
	if s, outside := b.outside(e); outside {
		b.erased = append(b.erased, s)
	}
	if len(b.erased) > maxTIFFErased {
		return unsupported(TIFF, "it says too much beside the picture"+blankRemedy)
	}
	switch e.tag {
	case tagEXIF, tagGPS, tagInterop:
		return b.follow(e, func(at uint32) error { return b.eraseDirectory(at, depth+1) })
	}
	return nil
}

func (b *tiffBlanker) eraseDirectory(at uint32, depth int) error {
	entries, _, err := b.open(at, depth)
	if err != nil {
		return err
	}
	b.erased = append(b.erased, span{uint64(at), min(uint64(at)+2+uint64(len(entries))+4, uint64(len(b.data)))})
	for ; len(entries) > 0; entries = entries[ifdEntrySize:] {
		if err := b.erase(b.entry(entries), depth); err != nil {
			return err
		}
	}
	return nil
}

// overlaps tells whether a byte that is to go belongs to the pictures too.
func (b *tiffBlanker) overlaps() bool {
	if b.erased.touches(0, 8) {
		return true
	}
	for _, at := range b.pages {
		entries, _, _ := b.directory(at) // it was read before
		if b.erased.touches(uint64(at), uint64(at)+2+uint64(len(entries))+4) || b.shared(entries) {
			return true
		}
	}
	return false
}

// shared tells it of the values of a picture's directory, and of its pixels.
func (b *tiffBlanker) shared(entries []byte) bool {
	pixels := map[uint16]ifdEntry{}
	for ; len(entries) > 0; entries = entries[ifdEntrySize:] {
		e := b.entry(entries)
		if !tiffPicture[e.tag] {
			continue
		}
		if s, outside := b.outside(e); outside && b.erased.touches(s.from, s.to) {
			return true
		}
		pixels[e.tag] = e
	}
	return b.sharedPixels(pixels[tagStrips], pixels[tagStripSizes]) || b.sharedPixels(pixels[tagTiles], pixels[tagTileSizes])
}

func (b *tiffBlanker) sharedPixels(places, sizes ifdEntry) bool {
	if places.value == nil || sizes.value == nil {
		return false
	}
	n, at := b.numbers(places)
	m, size := b.numbers(sizes)
	for i := range min(n, m) {
		if b.looked++; b.looked > maxTIFFStrips || b.erased.touches(uint64(at(i)), uint64(at(i))+uint64(size(i))) {
			return true
		}
	}
	return false
}

// compact takes the other fields out of a picture's directory. It gets shorter where it is.
func (b *tiffBlanker) compact(at uint32) {
	entries, next, _ := b.directory(at) // it was read before
	kept := entries[:0]
	for rest := entries; len(rest) > 0; rest = rest[ifdEntrySize:] {
		if tiffPicture[b.entry(rest).tag] {
			kept = append(kept, rest[:ifdEntrySize]...)
		}
	}
	if len(kept) == len(entries) {
		return
	}
	b.order.PutUint16(b.data[at:], uint16(len(kept)/ifdEntrySize))
	end := len(kept)
	clear(entries[end:])
	b.order.PutUint32(entries[end:], next)
	if after := uint64(at) + 2 + uint64(len(entries)); after+4 <= uint64(len(b.data)) {
		clear(b.data[after : after+4]) // where next was
	}
}
