package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"deckle/cache"
	"deckle/cache/disk"
	"deckle/cache/memory"
	"deckle/cache/redis"
	cachedS3 "deckle/cache/s3"
	"deckle/origin"
	"deckle/origin/file"
	originS3 "deckle/origin/s3"
	"deckle/origin/web"
	"deckle/transform"

	"github.com/dustin/go-humanize"
)

// closers are what to close at the end, in the order opened.
type closers []func() error

func (c *closers) add(f func() error) { *c = append(*c, f) }

// close closes in the reverse order and returns the first error.
func (c *closers) close() (err error) {
	for i := len(*c) - 1; i >= 0; i-- {
		if e := (*c)[i](); e != nil && err == nil {
			err = e
		}
	}
	return err
}

// openOrigins opens the stores of originals and joins them by prefix.
func openOrigins(ctx context.Context, c *configuration, ends *closers) (*origin.Route, error) {
	var rules []origin.Rule
	for _, o := range c.origins {
		store, err := openOrigin(ctx, o.at, c)
		if err != nil {
			return nil, fmt.Errorf("open origin %s: %w", o.at.Redacted(), err)
		}
		if closer, ok := store.(io.Closer); ok {
			ends.add(closer.Close)
		}
		rules = append(rules, origin.Rule{Prefix: o.prefix, Store: store})
	}
	return origin.NewRoute(rules...)
}

// openOrigin is the list of stores of originals, by the scheme of their URL.
func openOrigin(ctx context.Context, at *url.URL, c *configuration) (origin.Reader, error) {
	switch at.Scheme {
	case "file":
		if err := c.findOriginals(at.Path); err != nil {
			return nil, err
		}
		return file.New(at.Path)
	case "s3":
		return originS3.New(ctx, at.String())
	default: // http and https: resolve lets nothing else through
		return web.New(at.String(), web.Config{
			Guard: origin.Guard{Allow: c.allowUpstream}, MaxBytes: c.limits.SourceBytes, Header: c.telemetry.header(),
		})
	}
}

// findOriginals refuses a directory of originals that is not there, unless it is one of the data directory, which is made: an empty
// one in the place of a disk that was not mounted would have every picture answered as gone.
func (c *configuration) findOriginals(dir string) error {
	within, err := filepath.Rel(c.data, dir)
	if err == nil && filepath.IsLocal(within) {
		return nil
	}
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no such directory: mount it, or make it if it is to begin empty", errUsage)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%w: it is no directory", errUsage)
	}
	return nil
}

// openTiers opens the cache tiers that are configured, fastest first.
func openTiers(ctx context.Context, c *configuration, ends *closers) ([]cache.Layer, error) {
	fast, err := memory.New(c.memory)
	if err != nil {
		return nil, fmt.Errorf("open memory tier: %w", err)
	}
	ends.add(func() error { fast.Close(); return nil })
	layers := []cache.Layer{{Name: "memory", Tier: fast}}
	if c.redis != nil {
		shared, err := redis.New(c.redis.String(), redis.Options{})
		if err != nil {
			return nil, fmt.Errorf("open Redis tier: %w", err)
		}
		ends.add(shared.Close)
		layers = append(layers, cache.Layer{Name: "redis", Tier: shared, Shared: true})
	}
	durable, err := openStore(ctx, c.store, ends)
	if err != nil {
		return nil, fmt.Errorf("open durable tier: %w", err)
	}
	return withPublic(append(layers, durable), c)
}

// openStore is the list of durable tiers, by the scheme of their URL.
func openStore(ctx context.Context, at *url.URL, ends *closers) (cache.Layer, error) {
	if at.Scheme == "s3" {
		tier, err := cachedS3.New(ctx, at.String())
		return cache.Layer{Name: "s3", Tier: tier, Shared: true}, err
	}
	most, err := humanize.ParseBytes(fallback(at.Query().Get("max"), "20GiB"))
	if err != nil {
		return cache.Layer{}, fmt.Errorf("max=%s is no size as in 20GiB", at.Query().Get("max"))
	}
	tier, err := disk.New(at.Path, int64(most))
	if err != nil {
		return cache.Layer{}, err
	}
	ends.add(tier.Close)
	return cache.Layer{Name: "disk", Tier: tier}, nil
}

// outputFormats lists the formats that an engine writes, by name.
func outputFormats(engine transform.Engine) []string {
	var names []string
	for _, f := range transform.OutputFormats() {
		if engine.Writes(f) {
			names = append(names, f.Ext())
		}
	}
	return names
}
