package transform

const (
	// maxHEIFShared is how many times the items of a file may use its bytes. Each is read into memory as it is asked for.
	maxHEIFShared = 4
	// maxHEIFSmall is what they may come to in files of any size, bytes.
	maxHEIFSmall = 1 << 20
)

// readExtents bounds what the items take together: metadata is read of all of them, whichever is shown.
func (r *heifReader) readExtents() error {
	var all uint64
	r.eachExtent(func(uint64) bool { return true }, func(e itemExtent) {
		if !e.elsewhere && e.method < 2 {
			all += min(e.length, uint64(len(r.file)))
		}
	})
	if all > max(maxHEIFShared*uint64(len(r.file)), maxHEIFSmall) {
		return tooMuch(r.brand, "its items share their bytes")
	}
	return nil
}

// readReferences checks what items are derived from (ISO/IEC 23008-12, 6.6; ISO/IEC 14496-12, 8.11.12). The tiles of a grid are
// coded pictures: grids of grids would double with each, and decoders begin a thread for every tile. Overlays, which nobody
// shows, would lay the largest picture on itself thousands of times.
func (r *heifReader) readReferences() error {
	if len(r.kinds) > maxHEIFDerived {
		return tooMuch(r.brand, "it has more than %d derived pictures", maxHEIFDerived)
	}
	c := boxCursor{data: r.parts["iref"]}
	version, _ := c.fullBox()
	for rest := c.data; len(rest) > 0; {
		name, body, after, ok := nextBox(rest)
		if !ok {
			return malformed(r.brand, "a reference is longer than the list of references")
		}
		rest = after
		if string(name) != "dimg" {
			continue
		}
		if err := r.derived(body, idSize(version, 1)); err != nil {
			return err
		}
	}
	return nil
}

// derived checks what one item is derived from.
func (r *heifReader) derived(body []byte, size int) error {
	c := boxCursor{data: body}
	kind := r.kinds[c.number(size)]
	n := c.number(2)
	switch kind {
	case "grid":
		if n > maxHEIFTiles {
			return tooMuch(r.brand, "a grid has more than %d tiles", maxHEIFTiles)
		}
	case "iden":
		if n > 1 {
			return malformed(r.brand, "an item is the same as several")
		}
	case "iovl":
		return unsupported(r.brand, "it has an overlay")
	default:
		return nil // nobody derives it
	}
	for ; n > 0 && !c.short; n-- {
		switch of := r.kinds[c.number(size)]; {
		case of == "iden", of == "iovl", of == "grid" && kind == "grid":
			return unsupported(r.brand, "a picture is derived from one that is derived")
		}
	}
	return nil
}
