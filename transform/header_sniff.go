package transform

import (
	"bytes"
	"fmt"
)

// sniffBytes is how much of a file Sniff looks at.
const sniffBytes = 4096

// maxHeaderSide is the longest side that ReadHeader reports, pixels. It is the largest coordinate of libvips 8 (VIPS_MAX_COORD)
// and keeps width x height x frames within 64 bits.
const maxHeaderSide = 10_000_000

// Sniff tells what a file is by its first bytes; its name and its declared type are not asked. Up to 4 KiB are looked at.
// It returns Source when the bytes are of no format in the table. A format that is recognised may still be one that ReadHeader
// does not accept.
func Sniff(prefix []byte) Format {
	prefix = prefix[:min(len(prefix), sniffBytes)]
	for _, m := range magics {
		if bytes.HasPrefix(prefix, []byte(m.bytes)) {
			return m.format
		}
	}
	switch {
	case len(prefix) >= 12 && string(prefix[:4]) == "RIFF" && string(prefix[8:12]) == "WEBP":
		return WebP
	case len(prefix) >= 12 && string(prefix[4:8]) == "ftyp":
		return sniffBrands(prefix)
	case looksLikeSVG(prefix):
		return SVG
	}
	return Source
}

// magics are the formats that begin with fixed bytes, each from its own specification.
var magics = []struct {
	bytes  string
	format Format
}{
	{"\xff\xd8\xff", JPEG},
	{pngSignature, PNG},
	{"GIF87a", GIF},
	{"GIF89a", GIF},
	{"II*\x00", TIFF},
	{"MM\x00*", TIFF},
	{"II+\x00", TIFF}, // BigTIFF
	{"MM\x00+", TIFF},
	{"BM", BMP},
	{jxlCodestream, JXL},
	{jxlContainer, JXL},
	{"\x00\x00\x01\x00", ICO},
	{jp2Codestream, JP2},
	{jp2Container, JP2},
}

// looksLikeSVG wants markup from the first visible byte on, so that a binary file that contains the tag is not taken for one.
func looksLikeSVG(prefix []byte) bool {
	text := bytes.TrimLeft(bytes.TrimPrefix(prefix, []byte("\xef\xbb\xbf")), " \t\r\n")
	return bytes.HasPrefix(text, []byte("<")) && bytes.Contains(text, []byte("<svg"))
}

// ReadHeader returns what a source declares of itself, after checking the structure that declares it: every length against the
// bytes left, every count against a bound. It reads no pixels, takes time linear in len(data) and at most 64 KiB of memory
// beside it. A file that ends early is accepted when what Header holds was all there.
//
// Errors wrap ErrUnsupported (a type, or a kind of it, that is not accepted), ErrMalformed, or ErrLimit (more scans, pages,
// tiles or metadata than any picture needs). Whether the size itself is allowed is asked of Limits.CheckHeader. Formats that
// are read only where they are switched on are refused: Limits.ReadHeader knows which those are.
func ReadHeader(data []byte) (Header, error) { return readHeader(data, 0) }

func readHeader(data []byte, inputs FormatSet) (Header, error) {
	format := Sniff(data)
	read := headerReaders[format]
	if read == nil || formats[format].optional && !inputs.Has(format) {
		return Header{}, refuse(data, format)
	}
	h, err := read(data)
	switch {
	case err != nil:
		return Header{}, err
	case h.Width < 1 || h.Height < 1:
		return Header{}, malformed(h.Format, "a side is 0")
	case h.Width > maxHeaderSide || h.Height > maxHeaderSide:
		return Header{}, tooMuch(h.Format, "it declares a side of more than %d pixels", maxHeaderSide)
	}
	h.Pages = max(h.Pages, h.Frames)
	return h, nil
}

// headerReaders are the accepted formats. What is not here never reaches a decoder.
var headerReaders = [numFormats]func([]byte) (Header, error){
	JPEG: jpegHeader,
	PNG:  pngHeader,
	GIF:  gifHeader,
	WebP: webpHeader,
	AVIF: heifHeader,
	HEIC: heifHeader,
	TIFF: tiffHeader,
	BMP:  bmpHeader,
	ICO:  icoHeader,
	SVG:  svgHeader,
	JXL:  jxlHeader,
	JP2:  jp2Header,
}

// refuse says which type was recognised, as far as that helps whoever sent it.
func refuse(data []byte, format Format) error {
	if format != Source {
		return fmt.Errorf("%w: %s is not accepted", ErrUnsupported, format)
	}
	for _, m := range refusedMagics {
		if bytes.HasPrefix(data, []byte(m.bytes)) {
			return fmt.Errorf("%w: %s is not accepted", ErrUnsupported, m.name)
		}
	}
	return fmt.Errorf("%w: the bytes are of no known picture format", ErrUnsupported)
}

// refusedMagics name common types outside the table of formats.
var refusedMagics = []struct{ bytes, name string }{
	{"%PDF-", "pdf"},
	{"\x1f\x8b", "a compressed file"},
	{"PK\x03\x04", "a zip archive"},
}

func malformed(f Format, what string, args ...any) error {
	return headerFault(ErrMalformed, f, what, args)
}

func unsupported(f Format, what string, args ...any) error {
	return headerFault(ErrUnsupported, f, what, args)
}

func tooMuch(f Format, what string, args ...any) error {
	return headerFault(ErrLimit, f, what, args)
}

func headerFault(kind error, f Format, what string, args []any) error {
	return fmt.Errorf("%w: %s: %s", kind, f, fmt.Sprintf(what, args...))
}
