package vips

import (
	"bytes"
	"image"
	"io"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// trim finds what the borders of one colour leave of the source and makes it the crop, before anything is decoded for the
// result. The whole source is looked at, at its full size and line by line; what is left is then decoded anew, at a scale that
// fits the result. That costs CPU and saves memory: no source is ever held whole. Of an animation that part is left which no
// frame shows as border.
//
// It is libvips' find_trim without the filter against specks, which takes thirty times the CPU of decoding.
func (r *render) trim() error {
	if !r.spec.Trim.Set {
		return nil
	}
	upright := orientations[r.orientation()]
	s := scan{threshold: int(r.spec.Trim.Threshold)}
	// Sources stream: a corner below the first line has to be asked for in a look of its own.
	if corner := upright.corner(image.Pt(2, 2)); corner.Y > 0 {
		err := r.glance(func(size image.Point) error {
			at := upright.corner(size)
			pixel, err := r.part(image.Rectangle{Min: at, Max: at.Add(image.Pt(1, 1))})
			s.pixel, s.colour = pixel, weigh(pixel)
			return err
		})
		if err != nil {
			return err
		}
	}
	return r.glance(func(size image.Point) error {
		s.size, s.corner, s.bands = size, upright.corner(size).X, r.image.Bands()
		if err := r.lines(&s); err != nil {
			return err
		}
		inside := s.inside
		if inside.Empty() {
			inside = image.Rectangle{Max: size} // nothing but border: it is the picture
		}
		return r.cropWithin(upright.rect(inside, size))
	})
}

// corner returns the pixel of a stored picture that a viewer sees at the top left.
func (s symmetry) corner(stored image.Point) image.Point {
	return s.inverse().rect(image.Rect(0, 0, 1, 1), s.size(stored)).Min
}

// glance opens the whole source for a look at it, with 8 bits a channel, and says how large a frame is.
func (r *render) glance(look func(frame image.Point) error) error {
	defer func() { r.replace(nil) }()
	if r.header.Format == transform.SVG {
		if _, err := r.drawingSize(); err != nil {
			return err
		}
	} else if err := decoders[r.header.Format](r, 1); err != nil {
		return err
	}
	size, err := r.frameSize()
	if err != nil {
		return err
	}
	if err := r.normalise(); err != nil {
		return err
	}
	if r.image.BandFormat() != libvips.BandFormatUchar {
		if err := r.toEightBits(); err != nil {
			return err
		}
	}
	return look(size)
}

// part returns the pixels of a part of the picture.
func (r *render) part(area image.Rectangle) ([]byte, error) {
	part, err := r.image.Copy(nil)
	if err != nil {
		return nil, malformed(err)
	}
	defer part.Close()
	if err := part.ExtractArea(area.Min.X, area.Min.Y, area.Dx(), area.Dy()); err != nil {
		return nil, malformed(err)
	}
	pixels, err := part.WriteToMemory()
	if err != nil {
		return nil, malformed(err)
	}
	return pixels, nil
}

// lines writes the picture's pixels to to, line by line as they are decoded.
func (r *render) lines(to io.WriteCloser) error {
	target := libvips.NewTarget(to)
	err := r.image.RawsaveTarget(target, nil)
	target.Close() // libvips writes from a thread of its own; this is what waits for it
	return malformedOrNil(err)
}

// scan looks at the lines of one frame after the other, all of a size, for what is not border.
type scan struct {
	size      image.Point
	bands     int
	threshold int    // how far a pixel of the border may be from its colour, in any channel
	corner    int    // where in the first line the border's colour is, unless it is known
	pixel     []byte // of that colour, as stored; empty until it is known
	colour    [4]int // as weigh returns it

	inside image.Rectangle // the smallest part that holds what is not border in any frame so far
	y      int             // lines seen
	rest   []byte          // of a line that was cut
}

// Write takes pixels in order, cut anywhere.
func (s *scan) Write(pixels []byte) (int, error) {
	n, length := len(pixels), s.size.X*s.bands
	for len(s.rest)+len(pixels) >= length {
		line := pixels
		if missing := length - len(s.rest); len(s.rest) > 0 {
			s.rest = append(s.rest, pixels[:missing]...)
			line, pixels = s.rest, pixels[missing:]
			s.rest = s.rest[:0]
		} else {
			pixels = pixels[length:]
		}
		s.line(line[:length])
	}
	s.rest = append(s.rest, pixels...)
	return n, nil
}

// Close has nothing to do.
func (s *scan) Close() error { return nil }

func (s *scan) line(line []byte) {
	if len(s.pixel) == 0 {
		s.pixel = bytes.Clone(line[s.corner*s.bands:][:s.bands])
		s.colour = weigh(s.pixel)
	}
	y := s.y % s.size.Y
	s.y++
	left, right := 0, s.size.X
	for left < right && s.covers(line[left*s.bands:][:s.bands]) {
		left++
	}
	for left < right && s.covers(line[(right-1)*s.bands:][:s.bands]) {
		right--
	}
	if left < right {
		s.inside = s.inside.Union(image.Rect(left, y, right, y+1))
	}
}

// covers tells whether the border's colour passes for a pixel's.
func (s *scan) covers(pixel []byte) bool {
	if bytes.Equal(pixel, s.pixel) {
		return true // as most of a border is
	}
	for i, v := range weigh(pixel) {
		if d := v - s.colour[i]; d > s.threshold || d < -s.threshold {
			return false
		}
	}
	return true
}

// weigh returns a pixel's colours multiplied by its alpha, and its alpha, if it has one: what is transparent is all alike,
// whatever lies unseen below it.
func weigh(pixel []byte) (weighed [4]int) {
	alpha := 255
	if len(pixel)%2 == 0 {
		alpha = int(pixel[len(pixel)-1])
		weighed[3] = alpha
		pixel = pixel[:len(pixel)-1]
	}
	for i, v := range pixel {
		weighed[i] = (int(v)*alpha + 127) / 255
	}
	return weighed
}

// cropWithin makes the asked crop, which counts from a part of the upright source, one that counts from all of it.
func (r *render) cropWithin(part image.Rectangle) error {
	area, err := cropArea(r.spec.Crop, part.Size())
	if err != nil {
		return err
	}
	area = area.Add(part.Min)
	r.spec.Crop = transform.Crop{X: area.Min.X, Y: area.Min.Y, W: area.Dx(), H: area.Dy()}
	return nil
}
