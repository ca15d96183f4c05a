package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"deckle/internal/testimage"
	"deckle/transform"
	"deckle/transform/vips"
)

// benchSourcesCommand makes sources for servers to be measured on.
type benchSourcesCommand struct {
	Dir string `arg:"" help:"Directory for them; it is made if need be."`

	Count      int     `default:"12" help:"How many."`
	Megapixels float64 `default:"6" help:"Of each."`
	Seed       uint64  `default:"1" help:"Of the first; the others follow."`
}

// Run writes p1, p2 ..., each also as p1.jpg, p2.jpg: servers that take a file's name take the one or the other. It prints the
// ids, with commas, as bench takes them.
func (b *benchSourcesCommand) Run(stdout io.Writer) error {
	if b.Count < 1 || b.Count > 10_000 || b.Megapixels < 0.01 || b.Megapixels > 100 {
		return fmt.Errorf("%w: 1 to 10000 pictures of 0.01 to 100 megapixels can be made", errUsage)
	}
	if err := os.MkdirAll(b.Dir, 0o755); err != nil {
		return err
	}
	height := int(math.Sqrt(b.Megapixels * 1e6 * 3 / 4))
	var ids []string
	for i := range b.Count {
		id := fmt.Sprintf("p%d", i+1)
		picture := testimage.JPEG(testimage.Photo(height*4/3, height, b.Seed+uint64(i)), 88)
		path := filepath.Join(b.Dir, id)
		if err := os.WriteFile(path, picture, 0o644); err != nil {
			return err
		}
		if err := os.Link(path, path+".jpg"); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		ids = append(ids, id)
	}
	_, err := fmt.Fprintln(stdout, strings.Join(ids, ","))
	return err
}

// originalsIn returns what reads a source's file from a directory.
func originalsIn(dir string) func(id string) ([]byte, error) {
	return func(id string) ([]byte, error) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, err
		}
		defer func() { _ = root.Close() }() // it was only read from
		for _, extension := range []string{"", ".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif"} {
			body, err := root.ReadFile(filepath.FromSlash(id) + extension)
			if !errors.Is(err, os.ErrNotExist) {
				return body, err
			}
		}
		return nil, fmt.Errorf("no file of %s is in %s", id, dir)
	}
}

// decodeWithVips returns what reads the pictures that Go does not, AVIF first of all. libvips starts with the first of them.
func decodeWithVips() func([]byte) (image.Image, error) {
	start := sync.OnceValues(func() (*vips.Engine, error) { return vips.New(vips.Config{Limits: transform.DefaultLimits()}) })
	return func(body []byte) (image.Image, error) {
		engine, err := start()
		if err != nil {
			return nil, fmt.Errorf("start libvips: %w", err)
		}
		picture, err := engine.Render(context.Background(), body, transform.Spec{Format: transform.PNG})
		if err != nil {
			return nil, err
		}
		return png.Decode(bytes.NewReader(picture.Body))
	}
}
