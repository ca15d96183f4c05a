package vips

import (
	"slices"

	libvips "github.com/cshum/vipsgen/vips816"
)

// luma709 are the weights of red, green and blue in a pixel's brightness: those of sRGB's primaries (ITU-R BT.709), on values as
// they are coded, as CSS has it.
var luma709 = [3]float64{0.2126, 0.7152, 0.0722}

// tone changes brightness, contrast and saturation, or leaves brightness only. On values from 0 to 1 as sRGB codes them,
// brightness b multiplies by b, contrast c stretches by c around the middle, and saturation s moves each channel to s times
// its distance from the luma: what W3C's Filter Effects Module Level 1 says of brightness(), contrast() and saturate(), and
// of grayscale(1) for grey, so that a page can try a value in its style sheet. They are applied in this order and at once, so
// that the next can bring back what one would have clipped. Alpha stays.
func (r *render) tone() error {
	if !r.toned() {
		return nil
	}
	s, scale := r.spec, 1.0
	if r.deep() {
		scale = perByte
	}
	contrast := percent(s.Contrast)
	colours, alpha := 3, r.image.HasAlpha()
	if r.grey() {
		colours = 1
	}
	rows := toneRows(colours, scale*contrast*percent(s.Brightness), percent(s.Saturation), s.Gray)
	add := make([]float64, len(rows))
	for i := range add {
		add[i] = 255 * (1 - contrast) / 2
	}
	if alpha {
		rows, add = keepAlpha(rows), append(add, 0)
		rows[len(rows)-1][len(rows[0])-1] = scale
	}
	if err := mix(r.image, rows); err != nil {
		return err
	}
	if err := round(r.image, add...); err != nil {
		return err
	}
	if s.Gray || colours == 1 {
		return r.name(libvips.InterpretationBW)
	}
	return r.name(libvips.InterpretationSrgb)
}

// toned tells whether brightness, contrast or saturation change.
func (r *render) toned() bool {
	s := r.spec
	return s.Brightness != 0 || s.Contrast != 0 || s.Saturation != 0 || s.Gray
}

// percent returns the factor that a change by so many per cent is.
func percent(change int) float64 { return 1 + float64(change)/100 }

// toneRows returns the weights of the colours in each colour of the result.
func toneRows(colours int, slope, saturation float64, gray bool) [][]float64 {
	if colours == 1 {
		return [][]float64{{slope}}
	}
	if gray {
		return [][]float64{{slope * luma709[0], slope * luma709[1], slope * luma709[2]}}
	}
	rows := make([][]float64, colours)
	for i := range rows {
		rows[i] = make([]float64, colours)
		for j := range rows[i] {
			rows[i][j] = slope * (1 - saturation) * luma709[j]
		}
		rows[i][i] += slope * saturation
	}
	return rows
}

// keepAlpha adds to weights of colours a last band that stays what it is.
func keepAlpha(rows [][]float64) [][]float64 {
	for i := range rows {
		rows[i] = append(slices.Clone(rows[i]), 0)
	}
	last := make([]float64, len(rows[0]))
	last[len(last)-1] = 1
	return append(rows, last)
}
