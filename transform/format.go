package transform

import "strings"

// Format is a picture format. The zero value stands for the source's own.
type Format uint8

// Formats. Source and Auto are requests, not types of bytes: Source is the source's own format, Auto the family of the
// source that every browser shows (JPEG, PNG or GIF).
const (
	Source Format = iota
	Auto
	JPEG
	PNG
	WebP
	AVIF
	GIF
	JXL
	HEIC
	TIFF
	BMP
	SVG
	numFormats
)

// formatRow is what Deckle knows of a format.
type formatRow struct {
	name  string   // what people call it; in problem texts and metrics
	exts  []string // in URLs, lower case, the canonical one first; none when it cannot be asked for
	mime  string   // media type as registered with IANA
	alpha bool     // holds transparency
	lossy bool     // quality means something
}

// formats is the table of formats: what the parser accepts, the encoder writes, and an answer is labelled with.
var formats = [numFormats]formatRow{
	Source: {name: "source"},
	Auto:   {name: "auto", exts: []string{"auto"}, alpha: true, lossy: true},
	JPEG:   {name: "jpeg", exts: []string{"jpg", "jpeg", "jfif", "jpe"}, mime: "image/jpeg", lossy: true},
	PNG:    {name: "png", exts: []string{"png"}, mime: "image/png", alpha: true},
	WebP:   {name: "webp", exts: []string{"webp"}, mime: "image/webp", alpha: true, lossy: true},
	AVIF:   {name: "avif", exts: []string{"avif"}, mime: "image/avif", alpha: true, lossy: true},
	GIF:    {name: "gif", exts: []string{"gif"}, mime: "image/gif", alpha: true},
	JXL:    {name: "jxl", exts: []string{"jxl"}, mime: "image/jxl", alpha: true, lossy: true},
	HEIC:   {name: "heic", exts: []string{"heic", "heif"}, mime: "image/heic", alpha: true, lossy: true},
	TIFF:   {name: "tiff", exts: []string{"tif", "tiff"}, mime: "image/tiff", alpha: true},
	BMP:    {name: "bmp", mime: "image/bmp"},
	SVG:    {name: "svg", mime: "image/svg+xml", alpha: true},
}

// OutputFormats lists the formats that a URL can ask for by name, in the table's order, without Auto.
func OutputFormats() []Format {
	var list []Format
	for f := JPEG; f < numFormats; f++ {
		if len(formats[f].exts) > 0 {
			list = append(list, f)
		}
	}
	return list
}

// FormatByExt returns the format that an extension asks for, in any letter case and without its dot.
func FormatByExt(ext string) (Format, bool) {
	ext = strings.ToLower(ext)
	for f := Auto; f < numFormats; f++ {
		for _, known := range formats[f].exts {
			if ext == known {
				return f, true
			}
		}
	}
	return Source, false
}

// String returns the format's name: "jpeg", "webp".
func (f Format) String() string { return formats[f].name }

// Ext returns the canonical extension without its dot; empty for Source and for formats that are only read.
func (f Format) Ext() string {
	if len(formats[f].exts) == 0 {
		return ""
	}
	return formats[f].exts[0]
}

// MediaType returns the type for Content-Type; empty for Source and Auto.
func (f Format) MediaType() string { return formats[f].mime }

// Alpha tells whether the format holds transparency.
func (f Format) Alpha() bool { return formats[f].alpha }

// Lossy tells whether the format has a quality setting.
func (f Format) Lossy() bool { return formats[f].lossy }
