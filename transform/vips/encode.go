package vips

import (
	"fmt"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// Effort is how hard each encoder tries to make files small. 0 stands for the default. TIFF has no such setting, and the HEIC
// encoder does not listen to it (bench/results/quality.md).
type Effort struct {
	JPEG int // 1: the standard's Huffman tables; 2: tables of the picture's own; 3: progressive, with several of them
	WebP int // 1-6
	AVIF int // 1-9
	JXL  int // 1-9
	GIF  int // 1-10
	PNG  int // 1-9, zlib's level
}

// defaultEffort was measured on photo-like pictures 300 and 800 wide, against the next steps up:
// JPEG 2 makes 1-3 % fewer bytes than 1 for 1.3-2.3 times its CPU, and 1-4 % more than 3 for half of its.
// WebP 2 makes 4-5 % more bytes than 4 for half the CPU. AVIF 1 makes the same bytes as 2 for four fifths, and 3 costs twice
// as much. JXL 4 is the last below a doubling of the CPU. GIF 5 is the first with a good palette (similarity 0.95 against
// 0.92 at 800), at 2.3 times the CPU of 3. PNG 4 makes 3 % more bytes than 6 for half the CPU.
var defaultEffort = Effort{JPEG: 2, WebP: 2, AVIF: 1, JXL: 4, GIF: 5, PNG: 4}

// Check tells whether every effort is within its format's bounds.
func (e Effort) Check() error {
	_, err := e.complete()
	return err
}

// complete fills in the defaults and checks the bounds.
func (e Effort) complete() (Effort, error) {
	d := defaultEffort
	for _, row := range []struct {
		name   string
		value  *int
		preset int
		most   int
	}{
		{"jpg", &e.JPEG, d.JPEG, 3}, {"webp", &e.WebP, d.WebP, 6}, {"avif", &e.AVIF, d.AVIF, 9}, {"jxl", &e.JXL, d.JXL, 9},
		{"gif", &e.GIF, d.GIF, 10}, {"png", &e.PNG, d.PNG, 9},
	} {
		if *row.value == 0 {
			*row.value = row.preset
		}
		if *row.value < 1 || *row.value > row.most {
			return Effort{}, fmt.Errorf("effort of %s is %d: it is 1 to %d", row.name, *row.value, row.most)
		}
	}
	return e, nil
}

// autoQuality is what quality auto means, per format: the values at which photographs look as good as a JPEG of 80 does
// (bench/results/quality.md).
var autoQuality = map[transform.Format]int{
	transform.JPEG: 80, transform.WebP: 80, transform.AVIF: 60, transform.HEIC: 43, transform.JXL: 80,
}

// maxOwnQuality caps the quality that a JPEG keeps of its own when it is rendered to JPEG: above it the bytes grow and the
// picture does not.
const maxOwnQuality = 85

// quality resolves auto. 0 is without loss.
func (r *render) quality() int {
	switch {
	case r.spec.Lossless:
		return 0
	case r.spec.Quality > 0:
		return r.spec.Quality
	case r.format == transform.JPEG && r.header.Quality > 0:
		return min(r.header.Quality, maxOwnQuality)
	}
	return autoQuality[r.format]
}

// encode writes the picture. Nothing but pixels is written, and the profile of Display P3 where it is that.
func (e *Engine) encode(r *render, quality int) ([]byte, error) {
	if err := r.neutral(); err != nil {
		return nil, err
	}
	keep := libvips.KeepNone
	if r.p3 {
		keep = libvips.KeepIcc
	}
	body, err := e.encoder(r.image, r.format, quality, keep)
	if err != nil {
		// The decoder runs while the encoder pulls, and is the one with something to complain about.
		return nil, fmt.Errorf("encode %s: %w", r.format, malformed(err))
	}
	return body, nil
}

// perMillimetre is the resolution that results say they have, pixels: 72 to an inch, which says nothing. JPEG, PNG and TIFF
// hold one, and their encoders always write it.
const perMillimetre = 72 / 25.4

// neutral takes the source's resolution off the picture: what somebody once meant to print is no part of it.
func (r *render) neutral() error {
	plain, err := r.image.Copy(&libvips.CopyOptions{Xres: perMillimetre, Yres: perMillimetre})
	if err != nil {
		return malformed(err)
	}
	r.replace(plain)
	return nil
}

// encoder is the table of encoders: a format, the libvips operation that writes it and its settings.
func (e *Engine) encoder(img *libvips.Image, f transform.Format, quality int, keep libvips.Keep) ([]byte, error) {
	switch f {
	case transform.JPEG:
		return img.JpegsaveBuffer(&libvips.JpegsaveBufferOptions{
			Q: quality, OptimizeCoding: e.effort.JPEG > 1, Interlace: e.effort.JPEG > 2, Keep: keep,
		})
	case transform.PNG:
		return img.PngsaveBuffer(&libvips.PngsaveBufferOptions{Compression: e.effort.PNG, Filter: libvips.PngFilterAll, Keep: keep})
	case transform.WebP:
		return img.WebpsaveBuffer(&libvips.WebpsaveBufferOptions{Q: quality, Lossless: quality == 0, Effort: e.effort.WebP, Keep: keep})
	case transform.AVIF:
		return img.HeifsaveBuffer(&libvips.HeifsaveBufferOptions{
			Q: quality, Lossless: quality == 0, Bitdepth: 8, Compression: libvips.HeifCompressionAv1, Effort: e.effort.AVIF, Keep: keep,
		})
	case transform.HEIC:
		return img.HeifsaveBuffer(&libvips.HeifsaveBufferOptions{
			Q: quality, Bitdepth: 8, Compression: libvips.HeifCompressionHevc, Effort: 1, Keep: keep,
		})
	case transform.GIF:
		return img.GifsaveBuffer(&libvips.GifsaveBufferOptions{Dither: 1, Effort: e.effort.GIF, Bitdepth: 8, Keep: keep})
	case transform.JXL:
		return img.JxlsaveBuffer(&libvips.JxlsaveBufferOptions{Q: quality, Lossless: quality == 0, Effort: e.effort.JXL, Keep: keep})
	case transform.TIFF:
		return img.TiffsaveBuffer(&libvips.TiffsaveBufferOptions{
			Compression: libvips.TiffCompressionDeflate, Predictor: libvips.TiffPredictorHorizontal, Keep: keep,
		})
	}
	return nil, fmt.Errorf("%w: %s", transform.ErrFormat, f)
}

// probe finds out which formats can be written, by writing each: an encoder that libheif or libvips was built without shows
// only then.
func (e *Engine) probe() map[transform.Format]bool {
	writes := map[transform.Format]bool{}
	var r render
	defer r.close()
	const side = 16
	if err := r.adopt(make([]byte, 3*side*side), side, side, 3); err != nil {
		return writes
	}
	for _, f := range transform.OutputFormats() {
		_, err := e.encoder(r.image, f, 50, libvips.KeepNone)
		writes[f] = err == nil
	}
	return writes
}
