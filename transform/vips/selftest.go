package vips

// #cgo pkg-config: vips
// #include <vips/vips.h>
//
// static int opens(void *data, size_t length) {
//	VipsSource *source = vips_source_new_from_memory(data, length);
//	VipsImage *image = source ? vips_image_new_from_source(source, "", NULL) : NULL;
//	int opened = image != NULL;
//	VIPS_UNREF(image);
//	VIPS_UNREF(source);
//	vips_error_clear();
//	return opened;
// }
import "C"

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"deckle/transform"
)

// least is the oldest libvips that pictures of strangers may be given to: what came before reads some of them beyond their
// ends.
var least = [3]int{8, 16, 1}

// SelfTest tells whether the installed libvips may be given pictures of strangers: it is new enough, none of its decoders is
// known to be vulnerable, and it opens none of the decoys, which are files of types that it has loaders for and trusts no more than we do. Both can be undone from outside,
// by another library in the loader's path for one. Formats that are read here on purpose are excepted. New must have succeeded.
func SelfTest(except ...transform.Format) error {
	if version := installed(); !reaches(version, least) {
		return fmt.Errorf("libvips %s is installed; %d.%d.%d or later is needed", Version(), least[0], least[1], least[2])
	}
	for _, d := range Decoders() {
		if d.Safety == Vulnerable {
			return errors.New(d.String())
		}
	}
	for _, d := range lures() {
		if !slices.Contains(except, d.format) && !Refuses(d.file) {
			return fmt.Errorf("libvips opens files of type %s, which is not to be trusted", d.name)
		}
	}
	return nil
}

func installed() [3]int {
	return [3]int{int(C.vips_version(0)), int(C.vips_version(1)), int(C.vips_version(2))}
}

// reaches compares versions part by part.
func reaches(version, least [3]int) bool {
	for i := range version {
		if version[i] != least[i] {
			return version[i] > least[i]
		}
	}
	return true
}

// Refuses tells whether libvips, left to find out by itself what data is, opens it with none of its loaders, neither those
// for streams nor those for buffers. Our own look at the header is passed by.
func Refuses(data []byte) bool {
	return len(data) == 0 || C.opens(unsafe.Pointer(&data[0]), C.size_t(len(data))) == 0
}

// lure is a small whole file of a type that only a loader that is not to run would read.
type lure struct {
	name   string
	format transform.Format // Source when it is none of the table's
	file   []byte
}

// lures are made here, each by its format's own rules, as far as a loader reads before it accepts.
func lures() []lure {
	svg := []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>1</script><rect width="9" height="9"/></svg>`)
	pdf := []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
		"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>\n")
	return []lure{
		{"ppm", transform.Source, []byte("P6\n2 2\n255\n\xff\x00\x00\x00\xff\x00\x00\x00\xff\xff\xff\xff")},
		{"pgm", transform.Source, []byte("P2\n2 2\n255\n0 64 128 255\n")},
		{"pbm", transform.Source, []byte("P1\n2 2\n0 1 1 0\n")},
		{"pfm", transform.Source, append([]byte("PF\n1 1\n-1.0\n"), make([]byte, 12)...)},
		{"radiance", transform.Source, []byte("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n\x80\x80\x80\x80")},
		{"vips", transform.Source, vipsLure()},
		{"fits", transform.Source, fitsLure()},
		{"matlab", transform.Source, matlabLure()},
		{"analyze", transform.Source, analyzeLure("")},
		{"nifti", transform.Source, analyzeLure("n+1\x00")},
		{"openexr", transform.Source, append([]byte{0x76, 0x2f, 0x31, 0x01, 2, 0, 0, 0}, "channels\x00chlist\x00"...)},
		{"svg", transform.SVG, svg},
		{"svg behind text", transform.SVG, append([]byte("<!-- \xff\xd8\xff JFIF -->\n"), svg...)},
		{"svgz", transform.SVG, gzipped(svg)},
		{"pdf", transform.Source, pdf},
		{"pdf behind a jpeg's first bytes", transform.Source, append([]byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\n"), pdf...)},
		{"jpeg 2000", transform.Source, []byte("\x00\x00\x00\x0cjP  \r\n\x87\n\x00\x00\x00\x14ftypjp2 \x00\x00\x00\x00jp2 ")},
		{"xbm", transform.Source, []byte("#define x_width 8\n#define x_height 1\nstatic char x_bits[] = {\n0x55};\n")},
		{"mvg", transform.Source, []byte("push graphic-context\nviewbox 0 0 9 9\nfill red\nrectangle 0,0 9,9\npop graphic-context\n")},
		{"csv", transform.Source, []byte("1,2,3\n4,5,6\n")},
	}
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// vipsLure is a picture of one black pixel in libvips' own format: 64 bytes of header, then the pixel.
func vipsLure() []byte {
	header := make([]byte, 64, 65)
	copy(header, []byte{0xb6, 0xa6, 0xf2, 0x08})
	for i, field := range []uint32{1, 1, 1} { // width, height, bands
		binary.LittleEndian.PutUint32(header[4+4*i:], field)
	}
	return append(header, 0)
}

// fitsLure is a header block of 80-character cards (FITS standard 4.0, section 3.3), and one block of data.
func fitsLure() []byte {
	const block = 2880
	var b bytes.Buffer
	for _, card := range []string{
		"SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    2",
		"NAXIS1  =                    2", "NAXIS2  =                    2", "END",
	} {
		_, _ = fmt.Fprintf(&b, "%-80s", card) // a buffer takes everything
	}
	file := append(b.Bytes(), bytes.Repeat([]byte{' '}, block-b.Len())...)
	return append(file, make([]byte, block)...)
}

// matlabLure is the header of a MAT-file of version 5: 124 bytes of text, the version, and the mark of the byte order.
func matlabLure() []byte {
	return append(fmt.Appendf(nil, "%-124s", "MATLAB 5.0 MAT-file, Platform: GLNX86"), 0, 1, 'I', 'M', 14, 0, 0, 0, 0, 0, 0, 0)
}

// analyzeLure is the header of Analyze 7.5, 348 bytes, of one grey voxel; NIfTI-1 is the same with a magic at its end.
func analyzeLure(magic string) []byte {
	header := make([]byte, 353)
	binary.LittleEndian.PutUint32(header, 348)
	for i, dimension := range []uint16{2, 1, 1, 1} {
		binary.LittleEndian.PutUint16(header[40+2*i:], dimension)
	}
	binary.LittleEndian.PutUint16(header[70:], 2) // unsigned bytes
	binary.LittleEndian.PutUint16(header[72:], 8) // bits
	copy(header[344:], magic)
	return header
}
