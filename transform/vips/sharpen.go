package vips

import (
	libvips "github.com/cshum/vipsgen/vips816"
)

// sharpen is an unsharp mask: what a Gaussian of the asked sigma takes from a pixel's luma is added to each of its colours
// once more. With the luma alone, hues stay and greys stay grey; with colours weighted by alpha in the Gaussian, there is no
// halo along what is transparent. Alpha stays.
func (r *render) sharpen() error {
	if r.spec.Sharpen == 0 {
		return nil
	}
	// It is read twice, and over more lines than a streaming source keeps.
	if err := r.settle(); err != nil {
		return err
	}
	soft, err := r.luma()
	if err != nil {
		return err
	}
	defer soft.Close()
	if err := weighted(soft, func() error { return gaussian(soft, float64(r.spec.Sharpen)/100) }); err != nil {
		return err
	}
	sharp, minus := sharpenRows(r.image.Bands(), r.image.HasAlpha())
	if err := mix(r.image, sharp); err != nil {
		return err
	}
	if err := mix(soft, minus); err != nil {
		return err
	}
	if err := r.image.Add(soft); err != nil {
		return malformed(err)
	}
	return round(r.image, 0)
}

// luma returns the picture's brightness, unrounded, with its alpha if it has one. The caller closes it.
func (r *render) luma() (*libvips.Image, error) {
	img, err := r.image.Copy(nil)
	if err != nil {
		return nil, malformed(err)
	}
	defer img.Close()
	rows := [][]float64{lumaOf(r.image.Bands())}
	if r.image.HasAlpha() {
		rows = keepAlpha(rows)
	}
	if err := mix(img, rows); err != nil {
		return nil, err
	}
	return img.Copy(&libvips.CopyOptions{Interpretation: libvips.InterpretationBW})
}

// lumaOf returns the weights of a picture's colours in its brightness.
func lumaOf(bands int) []float64 {
	if bands < 3 {
		return []float64{1}
	}
	return luma709[:]
}

// sharpenRows returns the weights, in each band of the result, of the picture's bands and of the soft luma's: of colours once
// and the luma once more, less the soft one; of alpha what it is.
func sharpenRows(bands int, alpha bool) (sharp, soft [][]float64) {
	for i := range bands {
		own := make([]float64, bands)
		own[i] = 1
		below := []float64{0}
		if !alpha || i < bands-1 {
			below[0] = -1
			for j, weight := range lumaOf(bands) {
				own[j] += weight
			}
		}
		if alpha {
			below = append(below, 0)
		}
		sharp, soft = append(sharp, own), append(soft, below)
	}
	return sharp, soft
}
