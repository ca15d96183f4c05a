package transform

const (
	jxlCodestream = "\xff\x0a"
	jxlContainer  = "\x00\x00\x00\x0cJXL \r\n\x87\n"
)

// jxlHeader reads a JPEG XL file, bare or in its container (ISO/IEC 18181-1, annexes A and D; 18181-2). Its size is the one
// shown: decoders turn the picture by themselves, so that Orientation is 1 always. Only the first frame is used.
func jxlHeader(data []byte) (Header, error) {
	stream, err := jxlStream(data)
	if err != nil {
		return Header{}, err
	}
	b := bitReader{data: stream[len(jxlCodestream):]}
	width, height := jxlSize(&b)
	h := Header{Format: JXL, Width: width, Height: height, Frames: 1, Orientation: 1}
	turned := false
	if allDefault := b.flag(); !allDefault {
		turned = jxlMetadata(&b, &h)
	}
	if b.short {
		return Header{}, malformed(JXL, "it ends within the header")
	}
	if turned {
		h.Width, h.Height = h.Height, h.Width
	}
	return h, nil
}

// jxlStream returns the codestream, or the part of it that comes first.
func jxlStream(data []byte) ([]byte, error) {
	stream := data
	if string(data[:2]) != jxlCodestream {
		body, ok := findBox(data, "jxlc")
		if !ok {
			if body, ok = findBox(data, "jxlp"); ok { // a part, led by its number
				body = body[min(4, len(body)):]
			}
		}
		stream = body
	}
	if len(stream) < 2 || string(stream[:2]) != jxlCodestream {
		return nil, malformed(JXL, "it has no codestream")
	}
	return stream, nil
}

// jxlSize reads a SizeHeader.
func jxlSize(b *bitReader) (width, height int) {
	side := func(small bool) int {
		if small {
			return 8 * (1 + int(b.bits(5)))
		}
		return 1 + int(b.choice([4]int{9, 13, 18, 30}, [4]uint32{}))
	}
	small := b.flag()
	height = side(small)
	ratios := [8][2]int{1: {1, 1}, {12, 10}, {4, 3}, {3, 2}, {16, 9}, {5, 4}, {2, 1}}
	if ratio := ratios[b.bits(3)]; ratio[0] > 0 {
		return int(int64(height) * int64(ratio[0]) / int64(ratio[1])), height
	}
	return side(small), height
}

// jxlMetadata reads an ImageMetadata as far as the first extra channel and tells whether the picture lies on its side.
func jxlMetadata(b *bitReader, h *Header) (turned bool) {
	if extra := b.flag(); extra {
		turned = b.bits(3) >= 4 // EXIF's 5 to 8
		if b.flag() {           // intended size
			jxlSize(b)
		}
		if b.flag() { // preview
			jxlPreview(b)
		}
		if b.flag() { // animation: ticks, repetitions, time codes
			b.choice([4]int{0, 0, 10, 30}, [4]uint32{100, 1000, 1, 1})
			b.choice([4]int{0, 0, 8, 10}, [4]uint32{1, 1001, 1, 1})
			b.choice([4]int{0, 3, 16, 32}, [4]uint32{})
			b.flag()
		}
	}
	jxlDepth(b)
	b.flag() // whether 16 bits are enough for the modular mode
	if channels := b.choice([4]int{0, 0, 4, 12}, [4]uint32{0, 1, 2, 1}); channels > 0 {
		h.Alpha = b.flag() || b.choice([4]int{0, 0, 4, 6}, [4]uint32{0, 1, 2, 18}) == 0
	}
	return turned
}

func jxlPreview(b *bitReader) {
	eighths := b.flag()
	side := func() {
		if eighths {
			b.choice([4]int{0, 0, 5, 9}, [4]uint32{16, 32, 1, 33})
		} else {
			b.choice([4]int{6, 8, 10, 12}, [4]uint32{1, 65, 321, 1345})
		}
	}
	side()
	if b.bits(3) == 0 {
		side()
	}
}

func jxlDepth(b *bitReader) {
	if b.flag() { // floating point
		b.choice([4]int{0, 0, 0, 6}, [4]uint32{32, 16, 24, 1})
		b.bits(4)
		return
	}
	b.choice([4]int{0, 0, 0, 6}, [4]uint32{8, 10, 12, 1})
}

// bitReader reads bits, the lowest of each byte first. Once the data is too short all further reads give zero.
type bitReader struct {
	data  []byte
	at    int // bits read
	short bool
}

// bits returns the next n bits, at most 32.
func (b *bitReader) bits(n int) uint32 {
	if b.at+n > 8*len(b.data) {
		b.at, b.short = 8*len(b.data), true
		return 0
	}
	var v uint64
	for i := range n {
		v |= uint64(b.data[(b.at+i)>>3]>>((b.at+i)&7)&1) << i
	}
	b.at += n
	return uint32(v)
}

func (b *bitReader) flag() bool { return b.bits(1) != 0 }

// choice reads what the standard calls U32: two bits that choose how many more are read and what is added to them.
func (b *bitReader) choice(widths [4]int, offsets [4]uint32) uint32 {
	i := b.bits(2)
	return offsets[i] + b.bits(widths[i])
}
