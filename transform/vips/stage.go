package vips

import (
	"context"
	"time"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// What is told of beside the steps.
const (
	pixelsStage = "pixels" // what the steps have planned is done
	encodeStage = "encode"
)

// heldLines is how many lines of a result are held in one piece, as many as libvips computes at a time.
const heldLines = 16

// stages keeps the time for one render; nil keeps none.
type stages struct {
	begin time.Time
	took  []transform.Stage
}

// watch keeps the time where ctx asks for it.
func watch(ctx context.Context) *stages {
	if !transform.WantsStages(ctx) {
		return nil
	}
	return &stages{begin: time.Now()}
}

// step runs one step. It is told of when it made another picture, or looked for borders before there was one; those of an animation's
// frames are added up.
func (s *stages) step(t step, r *render) error {
	if s == nil {
		return t.run(r)
	}
	former, begin := inner(r.image), time.Now()
	err := t.run(r)
	if inner(r.image) != former || former == 0 && r.spec.Trim.Set {
		s.add(t.name, time.Since(begin))
	}
	return err
}

// add tells of a stage, behind those that are known.
func (s *stages) add(name string, took time.Duration) {
	for i := range s.took {
		if s.took[i].Name == name {
			s.took[i].Took += took
			return
		}
	}
	s.took = append(s.took, transform.Stage{Name: name, Took: took})
}

// compute has the pixels computed before they are encoded, so that the one is told from the other. An animation's are there.
func (s *stages) compute(r *render) error {
	if s == nil {
		return nil
	}
	if r.frames == 1 {
		// A copy in Go's memory would be without what the source says beside its pixels, some of which encoders write.
		held, err := r.image.Tilecache(&libvips.TilecacheOptions{
			TileWidth: r.image.Width(), TileHeight: heldLines, MaxTiles: -1, Access: libvips.AccessSequential, Persistent: true,
		})
		if err != nil {
			return malformed(err)
		}
		r.replace(held)
		if _, err := r.image.Avg(); err != nil { // which looks at all of them
			return malformed(err)
		}
	}
	s.rest(pixelsStage)
	return nil
}

// inner tells one picture of libvips from another: the binding's own is changed in place.
func inner(image *libvips.Image) uintptr {
	if image == nil {
		return 0
	}
	return uintptr(native(image))
}

// rest tells of the time that no stage has been told of.
func (s *stages) rest(name string) {
	took := time.Since(s.begin)
	for _, t := range s.took {
		took -= t.Took
	}
	s.add(name, max(0, took))
}

// end returns the stages, of which encoding was the last.
func (s *stages) end() []transform.Stage {
	if s == nil {
		return nil
	}
	s.rest(encodeStage)
	return s.took
}
