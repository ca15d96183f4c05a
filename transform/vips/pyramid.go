package vips

// #cgo pkg-config: vips
// #include <vips/vips.h>
//
// static void attach_profile(void *image, const void *profile, size_t length) {
//	vips_image_set_blob_copy(image, VIPS_META_ICC_NAME, profile, length);
// }
import "C"

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"unsafe"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

var _ transform.Keeper = (*Engine)(nil)

// pyramid is decoded levels of one source in memory that other processes may write and read: the pixels of each level as
// normalise leaves them, 8 bits a channel, one level behind the other, then the profile of their colours, the description, and
// its length.
type pyramid struct {
	memory  []byte
	about   about
	profile []byte
}

// about describes a pyramid.
type about struct {
	First   int     // level
	Levels  []level // from First on
	Bands   int
	Space   libvips.Interpretation
	Profile int // bytes of the profile; 0 without one
}

// level is one picture of a pyramid.
type level struct {
	At            int // its first byte
	Width, Height int // pixels
}

// lengthBytes is what the length of a description takes.
const lengthBytes = 4

// Keep implements transform.Keeper.
func (e *Engine) Keep(ctx context.Context, source []byte, spec transform.Spec, first int, memory []byte) (*transform.Picture, int, error) {
	header, err := e.check(source)
	if err != nil {
		return nil, 0, err
	}
	p := &pyramid{memory: memory, about: about{First: first}}
	picture, err := e.render(ctx, job{source: source, header: header, spec: spec, raise: p})
	if err != nil {
		return nil, 0, err
	}
	return picture, p.seal(), nil
}

// RenderKept implements transform.Keeper.
func (e *Engine) RenderKept(ctx context.Context, header transform.Header, levels []byte, spec transform.Spec) (*transform.Picture, error) {
	if err := e.limits.CheckHeader(header); err != nil {
		return nil, err
	}
	p, err := openPyramid(levels, header)
	if err != nil {
		return nil, err
	}
	if _, ok := transform.LevelOf(header, spec, e.limits); !ok {
		return nil, fmt.Errorf("%w: kept levels: not for %s", transform.ErrMalformed, spec)
	}
	return e.render(ctx, job{header: header, spec: spec, kept: p})
}

// seal writes the description behind the levels, and returns how many bytes the whole takes: 0 without levels, and when the
// description does not fit.
func (p *pyramid) seal() int {
	if len(p.about.Levels) == 0 {
		return 0
	}
	text, err := json.Marshal(p.about)
	if err != nil {
		return 0
	}
	end := p.end()
	if end+len(p.profile)+len(text)+lengthBytes > len(p.memory) {
		return 0
	}
	end += copy(p.memory[end:], p.profile)
	end += copy(p.memory[end:], text)
	binary.BigEndian.PutUint32(p.memory[end:], uint32(len(text)))
	return end + lengthBytes
}

// end returns where the levels end, bytes.
func (p *pyramid) end() int {
	if len(p.about.Levels) == 0 {
		return 0
	}
	last := p.about.Levels[len(p.about.Levels)-1]
	return last.At + last.Width*last.Height*p.about.Bands
}

// openPyramid reads what seal wrote. The memory comes from a process that has decoded a stranger's file: nothing in it is
// believed.
func openPyramid(memory []byte, h transform.Header) (*pyramid, error) {
	bad := func(what string) error {
		return fmt.Errorf("%w: kept levels: %s", transform.ErrMalformed, what)
	}
	rest := len(memory) - lengthBytes
	if rest < 0 {
		return nil, bad("cut short")
	}
	length := int(binary.BigEndian.Uint32(memory[rest:]))
	if length > rest {
		return nil, bad("a length points beyond the end")
	}
	p := &pyramid{memory: memory[:rest-length]}
	if err := json.Unmarshal(memory[rest-length:rest], &p.about); err != nil {
		return nil, bad("no description")
	}
	a := p.about
	if a.Profile < 0 || a.Profile > len(p.memory) {
		return nil, bad("a profile out of bounds")
	}
	p.profile = p.memory[len(p.memory)-a.Profile:]
	most := map[libvips.Interpretation]int{
		libvips.InterpretationSrgb: 4, libvips.InterpretationRgb: 4, libvips.InterpretationBW: 2, libvips.InterpretationCmyk: 5,
	}[a.Space]
	if a.Bands < 1 || a.Bands > most || a.Bands < most-1 || len(a.Levels) == 0 || len(a.Levels) > 16 || a.First < 0 || a.First > 16 {
		return nil, bad("impossible pixels")
	}
	whole := storedSize(h)
	for i, l := range a.Levels {
		if !beside(image.Pt(l.Width, l.Height), levelSize(whole, a.First+i)) || l.At < 0 || l.At+l.Width*l.Height*a.Bands > len(p.memory) {
			return nil, bad("a level out of bounds")
		}
	}
	return p, nil
}

// storedSize returns the size of what the decoder of a source gives, pixels; libheif turns pictures upright.
func storedSize(h transform.Header) image.Point {
	if h.Format == transform.HEIC || h.Format == transform.AVIF {
		return image.Pt(h.Upright())
	}
	return image.Pt(h.Width, h.Height)
}

// beside tells whether a is b but for a pixel each way, which is how far decoders that shrink differ in rounding.
func beside(a, b image.Point) bool {
	d := a.Sub(b)
	return a.X > 0 && a.Y > 0 && d.X*d.X <= 1 && d.Y*d.Y <= 1
}

func levelSize(whole image.Point, n int) image.Point {
	return image.Pt(transform.LevelSize(whole.X, n), transform.LevelSize(whole.Y, n))
}

// raise decodes the source, once, and keeps its levels; the picture so far is then the coarsest of them that is good for the
// result. A source whose pixels cannot be kept goes on as if nothing had been asked.
func (r *render) raise(shrink float64) error {
	p := r.raising
	size := levelSize(r.plan.source, p.about.First)
	if err := decoders[r.header.Format](r, float64(int(1)<<p.about.First)); err != nil {
		return err
	}
	switch loaded := imageSize(r.image); {
	case beside(loaded, size):
		size = loaded
	case loaded != r.plan.source: // the decoder knows better than the header
		r.image.Close()
		return decoders[r.header.Format](r, shrink)
	}
	if err := r.normalise(); err != nil {
		return err
	}
	if r.image.BandFormat() != libvips.BandFormatUchar {
		return nil
	}
	p.about.Bands, p.about.Space = r.image.Bands(), r.image.Interpretation()
	p.profile, _ = r.image.GetICCProfile()
	p.about.Profile = len(p.profile)
	for p.fits(size) {
		if err := r.keepLevel(p, size); err != nil {
			return err
		}
		if max(size.X, size.Y) <= leastSide {
			break
		}
		size = levelSize(r.plan.source, p.about.First+len(p.about.Levels))
	}
	if len(p.about.Levels) == 0 {
		return nil
	}
	return r.useLevel(p, shrink)
}

// leastSide is the longest side of the last level, pixels: below it a resize costs next to nothing.
const leastSide = 512

// fits tells whether there is room for another level.
func (p *pyramid) fits(size image.Point) bool {
	return p.end()+size.X*size.Y*p.about.Bands <= len(p.memory)
}

// keepLevel resizes the picture so far to the next level, writes it, and goes on from there.
func (r *render) keepLevel(p *pyramid, size image.Point) error {
	if imageSize(r.image) != size {
		if err := r.weighted(func() error { return resize(r.image, size.X, size.Y) }); err != nil {
			return err
		}
	}
	next := level{At: p.end(), Width: size.X, Height: size.Y}
	f := &filler{to: p.memory[next.At:][:size.X*size.Y*p.about.Bands]}
	if err := r.lines(f); err != nil {
		return err
	}
	if len(f.to) > 0 {
		return malformed(errors.New("fewer pixels than it says"))
	}
	p.about.Levels = append(p.about.Levels, next)
	kept, err := p.open(len(p.about.Levels) - 1)
	if err != nil {
		return malformed(err)
	}
	r.replace(kept)
	return nil
}

// filler writes into memory that is there.
type filler struct{ to []byte }

// Write takes pixels in order.
func (f *filler) Write(pixels []byte) (int, error) {
	if len(pixels) > len(f.to) {
		return 0, errors.New("more pixels than it says")
	}
	n := copy(f.to, pixels)
	f.to = f.to[n:]
	return n, nil
}

// Close has nothing to do.
func (f *filler) Close() error { return nil }

// useLevel makes the coarsest level that is shrunk by no more than shrink the picture so far.
func (r *render) useLevel(p *pyramid, shrink float64) error {
	n := min(transform.LevelWithin(shrink)-p.about.First, len(p.about.Levels)-1)
	if n < 0 || shrink*headroom <= 1 {
		return fmt.Errorf("%w: kept levels: none is large enough", transform.ErrMalformed)
	}
	img, err := p.open(n)
	if err != nil {
		return malformed(err)
	}
	r.replace(img)
	return nil
}

// open returns a level as a picture. The memory is only read, and stays until the picture is closed.
func (p *pyramid) open(n int) (*libvips.Image, error) {
	l := p.about.Levels[n]
	raw, err := libvips.NewImageFromMemory(p.memory[l.At:][:l.Width*l.Height*p.about.Bands], l.Width, l.Height, p.about.Bands)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	named, err := raw.Copy(&libvips.CopyOptions{Interpretation: p.about.Space})
	if err != nil || len(p.profile) == 0 {
		return named, err
	}
	attachProfile(named, p.profile)
	return named, nil
}

// attachProfile gives a picture the profile of its colours; an empty one is none. The binding can read what is attached to a
// picture, and not attach anything.
func attachProfile(img *libvips.Image, profile []byte) {
	if len(profile) > 0 {
		C.attach_profile(native(img), unsafe.Pointer(&profile[0]), C.size_t(len(profile)))
	}
}
