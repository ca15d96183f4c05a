package vips

import (
	"encoding/binary"
	"math"
	"runtime"

	libvips "github.com/cshum/vipsgen/vips816"
)

// mix replaces the bands of img by weighted sums of them, one a row of weights, unrounded.
func mix(img *libvips.Image, weights [][]float64) error {
	var raw []byte
	for _, row := range weights {
		for _, w := range row {
			raw = binary.NativeEndian.AppendUint64(raw, math.Float64bits(w))
		}
	}
	var pinner runtime.Pinner
	defer pinner.Unpin()
	pinner.Pin(&raw[0])
	// The binding makes images of bytes only: eight bands of bytes are read as one of doubles.
	bytes, err := libvips.NewImageFromMemory(raw, len(weights[0]), len(weights), 8)
	if err != nil {
		return err
	}
	defer bytes.Close()
	matrix, err := bytes.Copy(&libvips.CopyOptions{Format: libvips.BandFormatDouble, Bands: 1})
	if err != nil {
		return err
	}
	defer matrix.Close()
	// libvips copies the matrix before it returns.
	return malformedOrNil(img.Recomb(matrix))
}

// tie lifts halves: sums of the same weights in another order then round the same way, which keeps greys grey. It is far
// above the error of a float and far below the finest step of a weight.
const tie = 1.0 / 20000

// round brings unrounded bands back to 8 bits, to the nearest whole number within their range. add is put on each band first; a
// single one is put on all.
func round(img *libvips.Image, add ...float64) error {
	ones := make([]float64, len(add))
	for i := range add {
		ones[i] = 1
		add[i] += 0.5 + tie
	}
	if err := img.Linear(ones, add, nil); err != nil {
		return malformed(err)
	}
	return malformedOrNil(img.Cast(libvips.BandFormatUchar, nil))
}

func malformedOrNil(err error) error {
	if err != nil {
		return malformed(err)
	}
	return nil
}
