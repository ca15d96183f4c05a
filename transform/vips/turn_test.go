package vips

import (
	"image"
	"image/color"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"
)

// corners returns the colours a tenth of the way in from each corner.
func corners(img *image.NRGBA) [4]color.NRGBA {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	x, y := w/10, h/10
	return [4]color.NRGBA{
		img.NRGBAAt(x, y), img.NRGBAAt(w-1-x, y), img.NRGBAAt(x, h-1-y), img.NRGBAAt(w-1-x, h-1-y),
	}
}

// stored returns the picture as a camera held that way stores it: what orientation makes upright.
func stored(upright *image.NRGBA, orientation int) *image.NRGBA {
	s := orientations[orientation].inverse()
	p := upright.Rect.Size()
	size := s.size(p)
	out := image.NewNRGBA(image.Rectangle{Max: size})
	for y := range p.Y {
		for x := range p.X {
			ox, oy := s.at(x, y, p)
			out.SetNRGBA(ox, oy, upright.NRGBAAt(x, y))
		}
	}
	return out
}

// Every stored orientation of a picture renders as the upright one does, whatever else is asked.
func TestOrientationWithEverything(t *testing.T) {
	upright := testimage.Quadrants(320, 200)
	specs := []transform.Spec{{}, {Rotate: 90}, {Rotate: 180}, {Rotate: 270, Flip: transform.FlipHorizontal}, {Flip: transform.FlipVertical}}
	for fit := transform.FitClip; fit <= transform.FitStretch; fit++ {
		specs = append(specs, transform.Spec{Fit: fit, Width: 120, Height: 60}, transform.Spec{Fit: fit, Width: 60, Height: 120, Rotate: 90})
	}
	for g := transform.Center; g <= transform.NorthWest; g++ {
		for _, fit := range []transform.Fit{transform.FitCrop, transform.FitCanvas} {
			specs = append(specs, transform.Spec{Fit: fit, Gravity: g, Width: 60, Height: 90, Crop: transform.Crop{X: 40, Y: 20, W: 250, H: 160}})
		}
	}
	for _, spec := range specs {
		t.Run(spec.String(), func(t *testing.T) {
			spec.Format = transform.PNG
			want := decode(t, mustRender(t, testimage.PNG(upright), spec))
			for orientation := 1; orientation <= 8; orientation++ {
				source := testimage.WithEXIF(testimage.JPEG(stored(upright, orientation), 95), orientation)
				got := decode(t, mustRender(t, source, spec))
				if got.Rect != want.Rect {
					t.Errorf("orientation %d: %v, want %v", orientation, got.Rect, want.Rect)
				} else if e := meanError(got, want); e > 4 {
					t.Errorf("orientation %d: mean error %.1f", orientation, e)
				}
			}
		})
	}
}

// No output may carry the source's orientation on: it would be applied twice.
func TestOrientationIsNotWritten(t *testing.T) {
	upright := testimage.Quadrants(160, 100)
	for orientation := 1; orientation <= 8; orientation++ {
		source := testimage.WithEXIF(testimage.JPEG(stored(upright, orientation), 95), orientation)
		for _, f := range transform.OutputFormats() {
			got := decode(t, mustRender(t, source, transform.Spec{Format: f, Width: 80, Quality: 90}))
			if want := reference(upright, 80, 50); meanError(got, want) > 6 {
				t.Errorf("orientation %d as %s: mean error %.1f", orientation, f, meanError(got, want))
			}
		}
	}
}

func TestRotateThenFlip(t *testing.T) {
	tl, tr, bl, br := testimage.TopLeft, testimage.TopRight, testimage.BottomLeft, testimage.BottomRight
	tests := []struct {
		spec transform.Spec
		want [4]color.NRGBA // top left, top right, bottom left, bottom right
	}{
		{transform.Spec{}, [4]color.NRGBA{tl, tr, bl, br}},
		{transform.Spec{Rotate: 90}, [4]color.NRGBA{bl, tl, br, tr}},
		{transform.Spec{Rotate: 180}, [4]color.NRGBA{br, bl, tr, tl}},
		{transform.Spec{Rotate: 270}, [4]color.NRGBA{tr, br, tl, bl}},
		{transform.Spec{Flip: transform.FlipHorizontal}, [4]color.NRGBA{tr, tl, br, bl}},
		{transform.Spec{Flip: transform.FlipVertical}, [4]color.NRGBA{bl, br, tl, tr}},
		{transform.Spec{Flip: transform.FlipBoth}, [4]color.NRGBA{br, bl, tr, tl}},
		{transform.Spec{Rotate: 90, Flip: transform.FlipHorizontal}, [4]color.NRGBA{tl, bl, tr, br}},
		{transform.Spec{Rotate: 90, Flip: transform.FlipVertical}, [4]color.NRGBA{br, tr, bl, tl}},
	}
	source := testimage.PNG(testimage.Quadrants(90, 60))
	for _, tt := range tests {
		t.Run(tt.spec.String(), func(t *testing.T) {
			tt.spec.Width = 40
			tt.spec.Format = transform.PNG
			if got := corners(decode(t, mustRender(t, source, tt.spec))); got != tt.want {
				t.Errorf("corners are %v, want %v", got, tt.want)
			}
		})
	}
}

// A square cut from a wide picture shows one half or the seam; a wide strip from a tall one likewise.
func TestCropGravity(t *testing.T) {
	tl, tr, bl, br := testimage.TopLeft, testimage.TopRight, testimage.BottomLeft, testimage.BottomRight
	tests := []struct {
		gravity    transform.Gravity
		wide, tall [4]color.NRGBA
	}{
		{transform.Center, [4]color.NRGBA{tl, tr, bl, br}, [4]color.NRGBA{tl, tr, bl, br}},
		{transform.North, [4]color.NRGBA{tl, tr, bl, br}, [4]color.NRGBA{tl, tr, tl, tr}},
		{transform.NorthEast, [4]color.NRGBA{tr, tr, br, br}, [4]color.NRGBA{tl, tr, tl, tr}},
		{transform.East, [4]color.NRGBA{tr, tr, br, br}, [4]color.NRGBA{tl, tr, bl, br}},
		{transform.SouthEast, [4]color.NRGBA{tr, tr, br, br}, [4]color.NRGBA{bl, br, bl, br}},
		{transform.South, [4]color.NRGBA{tl, tr, bl, br}, [4]color.NRGBA{bl, br, bl, br}},
		{transform.SouthWest, [4]color.NRGBA{tl, tl, bl, bl}, [4]color.NRGBA{bl, br, bl, br}},
		{transform.West, [4]color.NRGBA{tl, tl, bl, bl}, [4]color.NRGBA{tl, tr, bl, br}},
		{transform.NorthWest, [4]color.NRGBA{tl, tl, bl, bl}, [4]color.NRGBA{tl, tr, tl, tr}},
	}
	for _, tt := range tests {
		spec := transform.Spec{Format: transform.PNG, Fit: transform.FitCrop, Gravity: tt.gravity, Width: 40, Height: 40}
		wide := mustRender(t, testimage.PNG(testimage.Quadrants(240, 80)), spec)
		if got := corners(decode(t, wide)); got != tt.wide {
			t.Errorf("gravity %d of a wide picture: corners %v, want %v", tt.gravity, got, tt.wide)
		}
		tall := mustRender(t, testimage.PNG(testimage.Quadrants(80, 240)), spec)
		if got := corners(decode(t, tall)); got != tt.tall {
			t.Errorf("gravity %d of a tall picture: corners %v, want %v", tt.gravity, got, tt.tall)
		}
	}
}
