package ingest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"deckle/catalog"
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
	width, height int    // pixels, upright
	orientation   int    // EXIF orientation 1-8
	placeholder   string // ThumbHash, base64; empty when none was made
}

// record returns what the catalog is to know of the picture.
func (s *Service) record(id string, p picture) catalog.Record {
	return catalog.Record{
		ID: id, SHA256: p.sha256, MD5: p.md5, Bytes: p.bytes, Format: p.format.String(), Width: p.width, Height: p.height,
		Placeholder: p.placeholder, Updated: s.config.Now(),
	}
}

// inspect reads the header of a staged file of n bytes and checks it against the limits. The file is mapped, so that only the
// pages that the header lies on are read.
func (s *Service) inspect(path string, n int64, limits transform.Limits) (transform.Header, error) {
	data, unmap, err := mapFile(path, n, unix.PROT_READ)
	if err != nil {
		return transform.Header{}, fmt.Errorf("look at upload: %w", err)
	}
	header, err := limits.ReadHeader(data)
	if err := errors.Join(err, unmap()); err != nil {
		return transform.Header{}, fmt.Errorf("look at upload: %w", err)
	}
	return header, nil
}

// mapFile maps the n bytes of a file until unmap, for reading or, with unix.PROT_WRITE too, to be changed for whoever called alone:
// pages that are changed take memory, and the file stays as it is. Its errors do not tell the path.
func mapFile(path string, n int64, protection int) (data []byte, unmap func() error, err error) {
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
	if data, err = unix.Mmap(int(f.Fd()), 0, int(n), protection, unix.MAP_PRIVATE); err != nil {
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

// known returns a staged object as a picture, once its header is found within the limits.
func (s *Service) known(staged origin.Staged, c content, limits transform.Limits) (picture, error) {
	header, err := s.inspect(staged.Path(), c.bytes, limits)
	if err != nil {
		return picture{}, err
	}
	p := picture{content: c, staged: staged, format: header.Format, orientation: header.Orientation}
	p.width, p.height = header.Upright()
	return p, nil
}

// crop renders what the rectangle keeps to a staged object of its own, upright. Whoever called aborts it.
func (s *Service) crop(ctx context.Context, p picture, crop transform.Crop, to origin.Writer) (picture, error) {
	if err := checkCrop(crop, p); err != nil {
		return picture{}, err
	}
	return s.rerender(ctx, p, transform.Spec{Crop: crop}, to)
}

// rerender makes another source of a source, by the Spec and upright, in its own format or, where that cannot be written, in PNG,
// which loses nothing.
func (s *Service) rerender(ctx context.Context, p picture, spec transform.Spec, to origin.Writer) (picture, error) {
	spec.Format = p.format
	if !s.config.Engine.Writes(p.format) {
		spec.Format = transform.PNG
	}
	if spec.Format.Lossy() && !spec.Lossless {
		spec.Quality = cropQuality
	}
	// Not mapped: an engine may go on reading for a while after ctx has ended, and unmapping the file under it would be fatal.
	source, err := os.ReadFile(p.staged.Path())
	if err != nil {
		return picture{}, fmt.Errorf("render source: %w", withoutPath(err))
	}
	made, err := s.config.Engine.Render(ctx, source, spec)
	if err != nil {
		return picture{}, fmt.Errorf("render source: %w", err)
	}
	if err := s.config.Limits.CheckSize(int64(len(made.Body))); err != nil {
		return picture{}, fmt.Errorf("render source: %w", err)
	}
	staged, c, err := s.stage(ctx, to, [][]byte{made.Body})
	if err != nil {
		return picture{}, err
	}
	return picture{content: c, staged: staged, format: made.Format, width: made.Width, height: made.Height, orientation: 1}, nil
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

// stage writes the pieces of a new source.
func (s *Service) stage(ctx context.Context, to origin.Writer, pieces [][]byte) (origin.Staged, content, error) {
	staged, err := to.Stage(ctx)
	if err != nil {
		return nil, content{}, fmt.Errorf("stage source: %w", err)
	}
	sums, n := newSums(), 0
	for _, piece := range pieces {
		if _, err := staged.Write(piece); err != nil {
			s.abort(staged)
			return nil, content{}, fmt.Errorf("stage source: %w", err)
		}
		_, _ = sums.Write(piece)
		n += len(piece)
	}
	return staged, sums.content(int64(n)), nil
}
