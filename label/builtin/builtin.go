// Package builtin labels pictures without asking anybody: by their pixels, and by what their files say of themselves. It knows no
// things, faces or words, and says nothing of which it is not sure:
//
//   - colour: each name of Palette that takes up a tenth of what is to be seen, or more; the confidence is its share
//   - kind monochrome: 99 in 100 pixels are shades of grey; the confidence is their share
//   - kind transparent: something behind the picture shows through one pixel in 200, or more
//   - kind animated: the file holds several frames
//   - kind landscape, portrait, or square: sides that differ by less than 5 in 100 are a square's
//   - kind photograph or graphic: see Judge; a picture that could be either gets neither
package builtin

import (
	"context"
	"image"

	"deckle/label"
)

// Name is the name of the labeler.
const Name = "builtin"

// What labels it takes.
const (
	leastShare  = .10 // of a colour that dominates
	grayShare   = .99 // of a monochrome picture
	grayChroma  = 12  // between the channels of what counts as grey, of 255: colours that chroma subsampling leaves on grey JPEGs
	clearShare  = 1. / 200
	squareRatio = 1.05
	visible     = 13 // alpha from which a pixel counts as seen: one in twenty
	opaque      = 250
)

// Labeler is the built-in labeler. It keeps nothing and never fails.
type Labeler struct{}

var _ label.Labeler = Labeler{}

// Label looks at the small rendering, and at the facts of the source.
func (Labeler) Label(_ context.Context, p label.Picture) ([]label.Label, error) {
	var labels []label.Label
	kind := func(name string, confidence float64) {
		labels = append(labels, label.Label{Name: name, Category: label.Kind, Confidence: confidence})
	}
	if p.Width > 0 && p.Height > 0 {
		kind(shape(p.Width, p.Height), 100)
	}
	if p.Frames > 1 {
		kind("animated", 100)
	}
	if p.Small == nil {
		return labels, nil
	}
	seen := count(p.Small)
	if seen.clear >= clearShare {
		kind("transparent", 100)
	}
	if seen.pixels == 0 {
		return labels, nil
	}
	if seen.gray >= grayShare {
		kind("monochrome", 100*seen.gray)
	}
	for name, share := range seen.colours {
		if share >= leastShare {
			labels = append(labels, label.Label{Name: name, Category: label.Colour, Confidence: 100 * share})
		}
	}
	if texture, ok := ReadTexture(p.Small); ok {
		if name, confidence := Judge(texture); name != "" {
			kind(name, confidence)
		}
	}
	return labels, nil
}

// shape names the shape of a picture.
func shape(width, height int) string {
	switch long, short := float64(max(width, height)), float64(min(width, height)); {
	case long < squareRatio*short:
		return "square"
	case width > height:
		return "landscape"
	}
	return "portrait"
}

// seen is what the pixels of a picture add up to. Shares are of 1.
type seen struct {
	pixels  int                // that are to be seen
	clear   float64            // share of all pixels through which something shows
	gray    float64            // share of the pixels that are to be seen
	colours map[string]float64 // likewise, by name
}

func count(img *image.NRGBA) seen {
	var clear, gray, all int
	s := seen{colours: map[string]float64{}}
	known := map[[3]uint8]string{} // by colour, in steps of 8: naming one takes a hundred comparisons
	for y := range img.Rect.Dy() {
		row := img.Pix[y*img.Stride : y*img.Stride+4*img.Rect.Dx()]
		for i := 0; i+3 < len(row); i += 4 {
			r, g, b, a := row[i], row[i+1], row[i+2], row[i+3]
			all++
			if a < opaque {
				clear++
			}
			if a < visible {
				continue
			}
			s.pixels++
			if max(r, g, b)-min(r, g, b) <= grayChroma {
				gray++
			}
			step := [3]uint8{r >> 3, g >> 3, b >> 3}
			name, ok := known[step]
			if !ok {
				name = ColourName(step[0]<<3|4, step[1]<<3|4, step[2]<<3|4)
				known[step] = name
			}
			s.colours[name]++
		}
	}
	s.clear = float64(clear) / float64(max(1, all))
	s.gray = float64(gray) / float64(max(1, s.pixels))
	for name := range s.colours {
		s.colours[name] /= float64(s.pixels)
	}
	return s
}
