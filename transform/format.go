package transform

import (
	"fmt"
	"slices"
	"strings"
)

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
	ICO
	JP2
	SVG
	numFormats
)

// formatRow is what Deckle knows of a format.
type formatRow struct {
	name     string   // what people call it; in problem texts and metrics
	exts     []string // in URLs, lower case, the canonical one first; none when it cannot be asked for
	mime     string   // media type as registered with IANA
	alpha    bool     // holds transparency
	lossy    bool     // quality means something
	moving   bool     // holds animations, and its encoder here writes them
	optional bool     // read only where it is switched on
}

// formats is the table of formats: what the parser accepts, the encoder writes, and an answer is labelled with.
var formats = [numFormats]formatRow{
	Source: {name: "source"},
	Auto:   {name: "auto", exts: []string{"auto"}, alpha: true, lossy: true},
	JPEG:   {name: "jpeg", exts: []string{"jpg", "jpeg", "jfif", "jpe"}, mime: "image/jpeg", lossy: true},
	PNG:    {name: "png", exts: []string{"png"}, mime: "image/png", alpha: true},
	WebP:   {name: "webp", exts: []string{"webp"}, mime: "image/webp", alpha: true, lossy: true, moving: true},
	AVIF:   {name: "avif", exts: []string{"avif"}, mime: "image/avif", alpha: true, lossy: true},
	GIF:    {name: "gif", exts: []string{"gif"}, mime: "image/gif", alpha: true, moving: true},
	JXL:    {name: "jxl", exts: []string{"jxl"}, mime: "image/jxl", alpha: true, lossy: true, optional: true},
	HEIC:   {name: "heic", exts: []string{"heic", "heif"}, mime: "image/heic", alpha: true, lossy: true},
	TIFF:   {name: "tiff", exts: []string{"tif", "tiff"}, mime: "image/tiff", alpha: true},
	BMP:    {name: "bmp", mime: "image/bmp"},
	ICO:    {name: "ico", mime: "image/vnd.microsoft.icon", alpha: true},
	JP2:    {name: "jp2", mime: "image/jp2", alpha: true, optional: true},
	SVG:    {name: "svg", mime: "image/svg+xml", alpha: true, optional: true},
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

// Animated tells whether a file of the format that is written here can hold an animation.
func (f Format) Animated() bool { return formats[f].moving }

// Lossy tells whether the format has a quality setting.
func (f Format) Lossy() bool { return formats[f].lossy }

// FormatSet is a set of formats. The zero value is empty; sets are compared with ==.
type FormatSet uint32

// NewFormatSet returns the set of the given formats.
func NewFormatSet(list ...Format) FormatSet {
	var s FormatSet
	for _, f := range list {
		s |= 1 << f
	}
	return s
}

// Has tells whether f is in the set.
func (s FormatSet) Has(f Format) bool { return s>>f&1 != 0 }

// OptionalInputs lists the formats that are read only where they are switched on (Limits.Inputs), in the table's order.
func OptionalInputs() []Format {
	var list []Format
	for f := JPEG; f < numFormats; f++ {
		if formats[f].optional {
			list = append(list, f)
		}
	}
	return list
}

// unreadable are inputs that people ask for, and why nothing here reads them.
var unreadable = map[string]string{
	"pdf": "no PDF decoder is part of this build",
	"raw": "decoding camera files takes libvips 8.18 or later, and this build is for 8.16",
}

// ParseInputs reads the names of optional inputs, separated by commas, as "svg,jxl". An empty string is the empty set.
func ParseInputs(list string) (FormatSet, error) {
	var set FormatSet
	if list == "" {
		return set, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if why := unreadable[name]; why != "" {
			return 0, fmt.Errorf("%q cannot be switched on: %s", name, why)
		}
		i := slices.IndexFunc(OptionalInputs(), func(f Format) bool { return f.String() == name })
		if i < 0 {
			return 0, fmt.Errorf("%q is no input that can be switched on: they are %v", name, OptionalInputs())
		}
		set |= NewFormatSet(OptionalInputs()[i])
	}
	return set, nil
}
