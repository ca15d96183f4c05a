package transform

import "encoding/binary"

// Block introducers (GIF89a, appendix A).
const (
	gifExtension  = 0x21
	gifImage      = 0x2C
	gifTrailer    = 0x3B
	gifPadding    = 0x00 // in no specification, but written by some encoders between blocks
	gifControl    = 0xF9
	gifDescriptor = 9 // bytes of an image descriptor
)

// gifReader gathers a Header from blocks.
type gifReader struct {
	header Header
	data   []byte // what is left
	cut    bool   // the data ended within a block
}

// gifHeader reads a GIF. Its size is that of the logical screen, widened to hold every frame: decoders disagree on frames that
// stand out, and the larger answer is the one that bounds them all. Every frame is counted.
func gifHeader(data []byte) (Header, error) {
	r := gifReader{header: Header{Format: GIF, Orientation: 1}, data: data[6:]}
	screen := r.take(7)
	if screen == nil {
		return Header{}, malformed(GIF, "it ends within the header")
	}
	r.header.Width = int(binary.LittleEndian.Uint16(screen))
	r.header.Height = int(binary.LittleEndian.Uint16(screen[2:]))
	r.colourTable(screen[4])
	for !r.cut && len(r.data) > 0 {
		more, err := r.block()
		if err != nil {
			return Header{}, err
		}
		if !more {
			break
		}
	}
	if r.header.Frames == 0 {
		return Header{}, malformed(GIF, "it has no frame")
	}
	return r.header, nil
}

// take returns the next n bytes, or nil at the end of the data.
func (r *gifReader) take(n int) []byte {
	if n > len(r.data) {
		r.cut = true
		return nil
	}
	taken := r.data[:n]
	r.data = r.data[n:]
	return taken
}

// colourTable skips a colour table if flags announce one.
func (r *gifReader) colourTable(flags byte) {
	if flags&0x80 != 0 {
		r.take(3 << (1 + flags&7))
	}
}

// block reads one block and tells whether others may follow.
func (r *gifReader) block() (more bool, err error) {
	switch r.take(1)[0] {
	case gifExtension:
		r.extension()
	case gifImage:
		return true, r.frame()
	case gifPadding:
	case gifTrailer:
		return false, nil
	default:
		return false, malformed(GIF, "a block is of no known kind")
	}
	return true, nil
}

func (r *gifReader) extension() {
	label := r.take(1)
	if label == nil {
		return
	}
	if label[0] == gifControl && len(r.data) >= 2 && r.data[0] == 4 && r.data[1]&1 != 0 {
		r.header.Alpha = true
	}
	r.subBlocks()
}

// frame reads an image descriptor and skips its pixels. A frame that is cut off counts once pixels of it are there.
func (r *gifReader) frame() error {
	d := r.take(gifDescriptor)
	if d == nil {
		return nil
	}
	left, top := binary.LittleEndian.Uint16(d), binary.LittleEndian.Uint16(d[2:])
	width, height := binary.LittleEndian.Uint16(d[4:]), binary.LittleEndian.Uint16(d[6:])
	r.colourTable(d[8])
	code := r.take(1)
	if r.cut || len(r.data) == 0 {
		return nil
	}
	if width == 0 || height == 0 {
		return malformed(GIF, "a frame has no size")
	}
	if code[0] < 1 || code[0] > 8 {
		return malformed(GIF, "a frame has codes of %d bits", code[0])
	}
	r.subBlocks()
	r.header.Frames++
	r.header.Width = max(r.header.Width, int(left)+int(width))
	r.header.Height = max(r.header.Height, int(top)+int(height))
	return nil
}

// subBlocks skips a chain of sub-blocks, each led by its length, up to the empty one.
func (r *gifReader) subBlocks() {
	for {
		length := r.take(1)
		if length == nil || length[0] == 0 {
			return
		}
		if r.take(int(length[0])) == nil {
			return
		}
	}
}
