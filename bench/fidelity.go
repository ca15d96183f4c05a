package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // sources and answers are of these formats
	_ "image/jpeg"
	_ "image/png"
	"slices"
	"time"

	_ "golang.org/x/image/webp"
)

// FidelitySide is the box that compared pictures are asked for in, pixels.
const FidelitySide = 500

// fidelityQualities are asked for beside the run's own, so that targets can be compared at equal bytes.
var fidelityQualities = []int{40, 55, 65, 75, 85, 92}

// Fidelity is one picture beside its reference: the source decoded whole by Go's decoders and resized by Lanczos 3 in sRGB, to
// the size that the target answered with.
type Fidelity struct {
	Source  string  `json:"source"`
	Quality int     `json:"quality"` // as asked for; the run's where a target takes none
	Width   int     `json:"width"`   // pixels
	Height  int     `json:"height"`
	Bytes   int     `json:"bytes"`
	SSIM    float64 `json:"ssim"` // mean structural similarity of luma: 1 is equal (see ssim)
}

// compare asks every target for the same pictures, after the rounds, and sets them beside the references. What cannot be
// compared becomes a note.
func (r *Report) compare(ctx context.Context, players []*player) error {
	ids := r.Config.Sources[:min(r.Config.Fidelity, len(r.Config.Sources))]
	for _, id := range ids {
		original, err := originalOf(ctx, r.Config, players, id)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.note("fidelity of %s is not known: %v", id, err)
			continue
		}
		luma := lumaOf(original.picture)
		r.Sources = append(r.Sources, original.source(id))
		references := make(map[image.Point]plane) // targets may round sizes differently
		for i, p := range players {
			list, err := p.compare(ctx, id, luma, references)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				r.note("fidelity of %s from %s is not known: %v", id, p.target.Name, err)
			}
			r.Results[i].Fidelity = append(r.Results[i].Fidelity, list...)
		}
	}
	for i := range r.Results {
		r.Results[i].Summary.SSIM = meanSSIM(r.Results[i].Fidelity, r.Config.Quality)
	}
	return nil
}

func (r *Report) note(form string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(form, args...))
}

// meanSSIM returns the mean at a quality; 0 when there is none.
func meanSSIM(list []Fidelity, quality int) float64 {
	sum, n := 0.0, 0
	for _, f := range list {
		if f.Quality == quality {
			sum += f.SSIM
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// compare asks for a source at every quality.
func (p *player) compare(ctx context.Context, id string, source plane, references map[image.Point]plane) ([]Fidelity, error) {
	qualities := append([]int{p.config.Quality}, fidelityQualities...)
	slices.Sort(qualities)
	qualities = slices.Compact(qualities)
	if !slices.Contains(p.spelling.parts, "{q}") {
		qualities = []int{p.config.Quality}
	}
	var list []Fidelity
	for _, quality := range qualities {
		c := p.config
		c.Quality = quality
		body, err := p.fetch(ctx, p.spelling.at(quality), picture{id, FidelitySide, FidelitySide, c.Format})
		if err != nil {
			return list, err
		}
		answer, err := decode(body, c.Decode)
		if err != nil {
			return list, fmt.Errorf("decode: %w", err)
		}
		luma := lumaOf(answer)
		if (luma.w > luma.h) != (source.w > source.h) && luma.w != luma.h && source.w != source.h {
			return list, errors.New("the source is turned by its EXIF block, which the reference does not follow")
		}
		size := image.Pt(luma.w, luma.h)
		if _, ok := references[size]; !ok {
			references[size] = source.resize(luma.w, luma.h)
		}
		list = append(list, Fidelity{Source: id, Quality: quality, Width: luma.w, Height: luma.h, Bytes: len(body), SSIM: ssim(luma, references[size])})
	}
	return list, nil
}

// fetch asks for one picture over the first connection and returns a copy of its bytes.
func (p *player) fetch(ctx context.Context, s *spelling, what picture) ([]byte, error) {
	answer, err := p.connections[0].get(ctx, s.append(nil, what), time.Now())
	if err != nil {
		return nil, err
	}
	if answer.StatusCode() != 200 {
		return nil, fmt.Errorf("status %d", answer.StatusCode())
	}
	return bytes.Clone(answer.Body()), nil
}

// original is a source, read.
type original struct {
	body    []byte
	picture decoded
}

func (o original) source(id string) Source {
	sum := sha256.Sum256(o.body)
	size := o.picture.image.Bounds().Size()
	return Source{ID: id, Bytes: len(o.body), Width: size.X, Height: size.Y, SHA256: hex.EncodeToString(sum[:])}
}

// originalOf reads a source from where the configuration says, or asks the first target that gives stored bytes away.
func originalOf(ctx context.Context, c Config, players []*player, id string) (original, error) {
	var body []byte
	err := errors.New("no target gives its sources away: say where they are")
	if c.Original != nil {
		body, err = c.Original(id)
	} else {
		for _, p := range players {
			pattern := p.target.Original
			if pattern == "" {
				pattern = originals[p.target.URLs]
			}
			if pattern == "" {
				continue
			}
			if body, err = p.fetch(ctx, parsePattern(p.spelling.prefix+pattern), picture{source: id}); err == nil {
				break
			}
		}
	}
	if err != nil {
		return original{}, err
	}
	picture, err := decode(body, c.Decode)
	if err != nil {
		return original{}, fmt.Errorf("decode: %w", err)
	}
	return original{body, picture}, nil
}

// decoded is a picture and the format that it was in, empty when Go did not read it.
type decoded struct {
	image  image.Image
	format string
}

func decode(body []byte, other func([]byte) (image.Image, error)) (decoded, error) {
	picture, format, err := image.Decode(bytes.NewReader(body))
	if errors.Is(err, image.ErrFormat) && other != nil {
		picture, err = other(body)
	}
	return decoded{picture, format}, err
}
