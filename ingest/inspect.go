package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"deckle/origin"
	"deckle/transform"
)

// cropQuality is what a cropped source is encoded at where its format has a quality: it is the original from then on, so that
// what is lost here is lost for good.
const cropQuality = 95

// picture is a staged source and what is known of it.
type picture struct {
	content
	staged        origin.Staged
	format        transform.Format
	width, height int // pixels, upright
}

// inspect reads the header of a staged file of n bytes and checks it against the limits. The file is mapped, so that only the
// pages that the header lies on are read.
func (s *Service) inspect(path string, n int64) (transform.Header, error) {
	data, unmap, err := mapFile(path, n)
	if err != nil {
		return transform.Header{}, fmt.Errorf("look at upload: %w", err)
	}
	header, err := s.config.Limits.ReadHeader(data)
	if err := errors.Join(err, unmap()); err != nil {
		return transform.Header{}, fmt.Errorf("look at upload: %w", err)
	}
	return header, nil
}

// mapFile maps the n bytes of a file for reading until unmap. Its errors do not tell the path.
func mapFile(path string, n int64) (data []byte, unmap func() error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }() // a mapping outlives its descriptor
	info, err := f.Stat()
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	// A page beyond the end of the file would be a fault of the processor.
	if info.Size() != n {
		return nil, nil, fmt.Errorf("%d bytes were staged of %d", info.Size(), n)
	}
	if data, err = unix.Mmap(int(f.Fd()), 0, int(n), unix.PROT_READ, unix.MAP_PRIVATE); err != nil {
		return nil, nil, err
	}
	return data, func() error { return unix.Munmap(data) }, nil
}

func withoutPath(err error) error {
	var fault *fs.PathError
	if errors.As(err, &fault) {
		return fmt.Errorf("%s: %w", fault.Op, fault.Err)
	}
	return err
}

// crop renders what the rectangle keeps to a staged object of its own, upright, in the source's format or, where that cannot
// be written, in PNG, which loses nothing. Whoever called aborts it.
func (s *Service) crop(ctx context.Context, p picture, crop transform.Crop) (picture, error) {
	if err := checkCrop(crop, p); err != nil {
		return picture{}, err
	}
	spec := transform.Spec{Crop: crop, Format: p.format}
	if !s.config.Engine.Writes(p.format) {
		spec.Format = transform.PNG
	}
	if spec.Format.Lossy() {
		spec.Quality = cropQuality
	}
	// Not mapped: an engine may go on reading for a while after ctx has ended, and unmapping the file under it would be fatal.
	source, err := os.ReadFile(p.staged.Path())
	if err != nil {
		return picture{}, fmt.Errorf("crop upload: %w", withoutPath(err))
	}
	cropped, err := s.config.Engine.Render(ctx, source, spec)
	if err != nil {
		return picture{}, fmt.Errorf("crop upload: %w", err)
	}
	if err := s.config.Limits.CheckSize(int64(len(cropped.Body))); err != nil {
		return picture{}, fmt.Errorf("crop upload: %w", err)
	}
	return s.stage(ctx, cropped)
}

// checkCrop refuses a rectangle that keeps nothing of the picture. One that reaches beyond the edges is cut at them.
func checkCrop(crop transform.Crop, p picture) error {
	width, height := p.width, p.height
	if crop.Fraction {
		width, height = 1e6, 1e6
	}
	if crop.W >= 1 && crop.H >= 1 && crop.X >= 0 && crop.Y >= 0 && crop.X < width && crop.Y < height {
		return nil
	}
	return &transform.SpecError{
		Option: "crop", Value: crop.String(), Hint: fmt.Sprintf("it must keep part of the picture, which is %dx%d pixels", p.width, p.height),
	}
}

// stage writes a rendered picture.
func (s *Service) stage(ctx context.Context, rendered *transform.Picture) (picture, error) {
	staged, err := s.config.Store.Stage(ctx)
	if err != nil {
		return picture{}, fmt.Errorf("stage crop: %w", err)
	}
	if _, err := staged.Write(rendered.Body); err != nil {
		s.abort(staged)
		return picture{}, fmt.Errorf("stage crop: %w", err)
	}
	sum := sha256.Sum256(rendered.Body)
	return picture{
		content: content{sha256: hex.EncodeToString(sum[:]), bytes: int64(len(rendered.Body))},
		staged:  staged, format: rendered.Format, width: rendered.Width, height: rendered.Height,
	}, nil
}
