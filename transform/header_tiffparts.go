package transform

const (
	tagPlanar   = 0x011C
	planesApart = 2 // a value of it: each sample has strips or tiles of its own

	compressionJPEG = 7

	// maxTIFFTiles is how many tiles a page may have: those of 50 megapixels are 12,000 of 64 x 64. Decoders begin anew with each.
	maxTIFFTiles = 1 << 16
	// maxTIFFShared is how many times a page's JPEGs may use the bytes of the file.
	maxTIFFShared = 4
)

// checkParts bounds what the strips or tiles of a page cost beside their pixels.
func (v tiffView) checkParts(p *tiffPage) error {
	if p.tileWidth > 0 && p.tileHeight > 0 {
		across, down := partsOf(p.width, p.tileWidth), partsOf(p.height, p.tileHeight)
		if p.planar == planesApart {
			across *= uint64(p.samples)
		}
		if down > maxTIFFTiles || across > maxTIFFTiles || across*down > maxTIFFTiles {
			return tooMuch(TIFF, "it has more than %d tiles", maxTIFFTiles)
		}
	}
	if p.compression != compressionJPEG {
		return nil
	}
	for _, parts := range [][2]ifdEntry{{p.entries[tagStrips], p.entries[tagStripSizes]}, {p.entries[tagTiles], p.entries[tagTileSizes]}} {
		if err := v.checkJPEGs(parts[0], parts[1], int64(p.width)*int64(p.height)); err != nil {
			return err
		}
	}
	return nil
}

func partsOf(side, part uint32) uint64 { return (uint64(side) + uint64(part) - 1) / uint64(part) }

// checkJPEGs holds the JPEGs of a page's parts against what those of a file of their own are held against. Parts may share
// their bytes, and all of them are decoded.
func (v tiffView) checkJPEGs(places, sizes ifdEntry, pixels int64) error {
	if places.value == nil {
		return nil
	}
	n, at := v.numbers(places)
	known := 0
	size := func(int) uint32 { return 0 }
	if sizes.value != nil {
		known, size = v.numbers(sizes)
	}
	var read int
	var all scanWork
	for i := range n {
		from, length := uint64(at(i)), uint64(0)
		if i < known {
			length = uint64(size(i))
		}
		if n == 1 { // what it takes is found out by decoders
			length = uint64(len(v.data))
		}
		if from >= uint64(len(v.data)) || length < 2 {
			continue // nothing is there
		}
		part := v.data[from:min(from+length, uint64(len(v.data)))]
		if read += len(part); read > maxTIFFShared*len(v.data) {
			return tooMuch(TIFF, "its parts share their bytes")
		}
		r := jpegReader{header: Header{Format: TIFF}}
		if err := r.read(part[min(2, len(part)):]); err != nil {
			return err
		}
		if all.steps += r.work.steps; all.tooLong(pixels) {
			return tooMuch(TIFF, "the scans of its JPEGs go through the picture too often")
		}
	}
	return nil
}
