package transform

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"

	"deckle/internal/testimage"
)

// Small files made by hand, as far as no encoder in the standard library makes them.

func concat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func be32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
func be16(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
func le32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
func le24(n int) []byte { return le32(n)[:3] }
func le16(n int) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(n)) }

func madeJPEG(w, h, quality int) []byte { return testimage.JPEG(testimage.Quadrants(w, h), quality) }
func madePNG(w, h int) []byte           { return testimage.PNG(testimage.Quadrants(w, h)) }

func pngChunk(name string, body []byte) []byte {
	sum := crc32.ChecksumIEEE(concat([]byte(name), body))
	return concat(be32(len(body)), []byte(name), body, be32(int(sum)))
}

// withPNGChunk puts a chunk right behind the header chunk.
func withPNGChunk(png []byte, name string, body []byte) []byte {
	const header = 8 + 12 + 13
	return concat(png[:header], pngChunk(name, body), png[header:])
}

func pngOf(w, h int, depth, colour byte) []byte {
	ihdr := concat(be32(w), be32(h), []byte{depth, colour, 0, 0, 0})
	return concat([]byte(pngSignature), pngChunk("IHDR", ihdr), pngChunk("IDAT", []byte{0}), pngChunk("IEND", nil))
}

// tiffField is one field of a directory with its value in place; kind 3 is SHORT, 4 is LONG.
type tiffField struct{ tag, kind, count, value int }

// tiffOf makes a TIFF of one directory and no pixels; next is the offset of a second directory.
func tiffOf(order binary.AppendByteOrder, next int, fields ...tiffField) []byte {
	file := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		file = []byte("MM\x00*")
	}
	file = order.AppendUint32(file, 8)
	file = order.AppendUint16(file, uint16(len(fields)))
	for _, f := range fields {
		file = order.AppendUint16(file, uint16(f.tag))
		file = order.AppendUint16(file, uint16(f.kind))
		file = order.AppendUint32(file, uint32(f.count))
		if f.kind == kindShort && f.count == 1 {
			file = order.AppendUint16(file, uint16(f.value))
			file = append(file, 0, 0)
		} else {
			file = order.AppendUint32(file, uint32(f.value))
		}
	}
	return order.AppendUint32(file, uint32(next))
}

func tiffSize(w, h int) []tiffField {
	return []tiffField{{tagWidth, kindLong, 1, w}, {tagHeight, kindLong, 1, h}, {tagBits, kindShort, 1, 8}}
}

func webpChunk(name string, body []byte) []byte {
	padding := make([]byte, len(body)%2)
	return concat([]byte(name), le32(len(body)), body, padding)
}

func webpOf(chunks ...[]byte) []byte {
	body := concat(chunks...)
	return concat([]byte("RIFF"), le32(4+len(body)), []byte("WEBP"), body)
}

func vp8l(w, h int, alpha bool) []byte {
	bits := w - 1 | (h-1)<<14
	if alpha {
		bits |= 1 << 28
	}
	return webpChunk("VP8L", concat([]byte{0x2F}, le32(bits), []byte{0, 0, 0}))
}

func vp8(w, h int) []byte {
	return webpChunk("VP8 ", concat([]byte{0x10, 0, 0, 0x9D, 0x01, 0x2A}, le16(w), le16(h), []byte{0, 0, 0}))
}

func vp8x(flags byte, w, h int) []byte {
	return webpChunk("VP8X", concat([]byte{flags, 0, 0, 0}, le24(w-1), le24(h-1)))
}

// anmf makes a frame at x, y; both are even.
func anmf(x, y, w, h int, picture []byte) []byte {
	return webpChunk("ANMF", concat(le24(x/2), le24(y/2), le24(w-1), le24(h-1), le24(100), []byte{0}, picture))
}

// gifOf makes a GIF of one-byte frames. Each frame is left, top, width, height.
func gifOf(w, h int, frames ...[4]int) []byte {
	file := concat([]byte("GIF89a"), le16(w), le16(h), []byte{0, 0, 0})
	for _, f := range frames {
		file = concat(file, []byte{gifImage}, le16(f[0]), le16(f[1]), le16(f[2]), le16(f[3]), []byte{0, 2, 1, 0x2C, 0})
	}
	return append(file, gifTrailer)
}

// bmpOf makes a BMP with an info header, depth 24 or 32, rows black.
func bmpOf(w, h int, depth, compression int) []byte {
	row := (abs(w)*depth + 31) / 32 * 4
	info := concat(le32(40), le32(w), le32(h), le16(1), le16(depth), le32(compression), make([]byte, 20))
	return concat([]byte("BM"), le32(0), le32(0), le32(54), info, make([]byte, row*abs(h)))
}

func abs(n int) int { return max(n, -n) }

func isoBox(name string, body ...[]byte) []byte {
	b := concat(body...)
	return concat(be32(8+len(b)), []byte(name), b)
}

// heifOf makes an AVIF or HEIC of item 1 of a kind, whose properties are given, with others that belong to no item first.
type heifOf struct {
	brand    string
	kind     string
	others   [][]byte // properties of no item
	own      [][]byte // properties of item 1
	tiles    []string // kinds of further items
	idat     []byte   // where item 1 is
	metaTail []byte   // more children of the meta box
}

func (m heifOf) file() []byte {
	full := be32(0)
	infe := func(id int, kind string) []byte {
		return isoBox("infe", be32(2<<24), be16(id), be16(0), []byte(kind), []byte{0})
	}
	items := infe(1, m.kind)
	for i, kind := range m.tiles {
		items = concat(items, infe(2+i, kind))
	}
	associations := []byte{byte(len(m.own))}
	for i := range m.own {
		associations = append(associations, byte(len(m.others)+i+1))
	}
	ipma := isoBox("ipma", full, be32(1), be16(1), associations)
	properties := concat(concat(m.others...), concat(m.own...))
	iloc := isoBox("iloc", be32(1<<24), be16(0x4400), be16(1), be16(1), be16(1), be16(0), be16(1), be32(0), be32(len(m.idat)))
	meta := isoBox("meta", full, isoBox("pitm", full, be16(1)), isoBox("iinf", full, be16(1+len(m.tiles)), items),
		isoBox("iprp", isoBox("ipco", properties), ipma), iloc, isoBox("idat", m.idat), m.metaTail)
	ftyp := isoBox("ftyp", []byte(m.brand), be32(0), []byte("mif1"), []byte(m.brand))
	return concat(ftyp, meta, isoBox("mdat", bytes.Repeat([]byte{7}, 16)))
}

func ispe(w, h int) []byte { return isoBox("ispe", be32(0), be32(w), be32(h)) }
func irot(n byte) []byte   { return isoBox("irot", []byte{n}) }

// gridData describes rows x columns tiles that make up w x h pixels.
func gridData(rows, columns, w, h int) []byte {
	return concat([]byte{0, 0, byte(rows - 1), byte(columns - 1)}, be16(w), be16(h))
}
