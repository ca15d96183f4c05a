package cache

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Sweeper is a Tier that can be gone through from end to end.
type Sweeper interface {
	// Sweep removes every entry whose source is within s, and returns how many those were, also beside an error: then some may
	// be left. Unlike Purge it relies on no index that may be incomplete. What cannot be read as an entry, and so belongs to no
	// source, goes with it. Entries that are set meanwhile may stay.
	Sweep(ctx context.Context, s Scope) (removed int, err error)
}

// Sweep passes on: skipping one would leave what should be gone.
func (b *Breaker) Sweep(ctx context.Context, s Scope) (removed int, err error) {
	sweeper, ok := b.tier.(Sweeper)
	if !ok {
		return 0, errNoSweep
	}
	return sweeper.Sweep(ctx, s)
}

var errNoSweep = fmt.Errorf("cache: tier cannot be gone through: %w", errors.ErrUnsupported)

// maxPasses bounds how often a layer is gone through until nothing more is found in it.
const maxPasses = 4

// Swept is what a purge did in one layer.
type Swept struct {
	Layer   string
	Removed int   // entries
	Err     error // nil when the layer was looked through again and nothing of the scope was left in it
}

// Sweep removes everything within s from the layers that which accepts, and goes through each again until nothing more is
// found. It is called within Hold: else what is under way may store again what was just removed.
func (c *Chain) Sweep(ctx context.Context, s Scope, which func(Layer) bool) []Swept {
	var all []Swept
	// Slowest first: nothing is copied up from a layer that is empty already.
	for i := len(c.layers) - 1; i >= 0; i-- {
		if which(c.layers[i]) {
			all = append(all, c.sweepLayer(ctx, c.layers[i], s))
		}
	}
	return all
}

func (c *Chain) sweepLayer(ctx context.Context, layer Layer, s Scope) Swept {
	swept := Swept{Layer: layer.Name}
	sweeper, ok := layer.Tier.(Sweeper)
	if !ok {
		swept.Err = errNoSweep
		return swept
	}
	for range maxPasses {
		start := time.Now()
		n, err := sweeper.Sweep(ctx, s)
		c.observe(layer.Name, "purge", time.Since(start), err)
		swept.Removed += n
		if err != nil {
			swept.Err = fmt.Errorf("purge %s: %w", layer.Name, err)
			return swept
		}
		if n == 0 {
			return swept
		}
	}
	swept.Err = fmt.Errorf("purge %s: entries go on coming in", layer.Name)
	return swept
}

// EveryLayer is for Chain.Sweep.
func EveryLayer(Layer) bool { return true }

// noSegment stands for a segment of no bytes in a SourcePath.
const noSegment = "%"

// SourcePath returns a source's id as a path that is fit for an object's name and a Redis key, and that SourceOf turns back:
// letters, digits and . _ ~ - stay as they are, slashes too, all else is percent-encoded, and so is a dot that a segment
// begins with. It is never empty, nor has it an empty segment, and it holds none of ! { } : * ?.
func SourcePath(source string) string {
	var b strings.Builder
	for i, segment := range strings.Split(source, "/") {
		if i > 0 {
			b.WriteByte('/')
		}
		writeSegment(&b, segment)
	}
	return b.String()
}

func writeSegment(b *strings.Builder, segment string) {
	if segment == "" {
		b.WriteString(noSegment)
	}
	for i := 0; i < len(segment); {
		r, n := utf8.DecodeRuneInString(segment[i:])
		if pathRune(r, n) && (i > 0 || r != '.') {
			b.WriteString(segment[i : i+n])
		} else {
			for _, c := range []byte(segment[i : i+n]) {
				fmt.Fprintf(b, "%%%02X", c)
			}
		}
		i += n
	}
}

func pathRune(r rune, size int) bool {
	switch {
	case r >= utf8.RuneSelf:
		return size > 1 && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)) // a broken byte has size 1
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return true
	}
	return r == '.' || r == '_' || r == '~' || r == '-'
}

// SourceOf returns the id that SourcePath made path of, and false for any other text.
func SourceOf(path string) (source string, ok bool) {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if segment == noSegment {
			segments[i] = ""
			continue
		}
		plain, err := url.PathUnescape(segment)
		if err != nil {
			return "", false
		}
		segments[i] = plain
	}
	source = strings.Join(segments, "/")
	return source, SourcePath(source) == path
}

// SourceInBytes is how much of a stored entry SourceIn needs at most, if its source is an id: those have up to 255 bytes.
const SourceInBytes = envelopeHeader + 255

// SourceIn returns the source that the beginning of an entry's stored form names. Nothing is verified but the layout.
func SourceIn(head []byte) (source string, ok bool) {
	if len(head) < envelopeHeader || string(head[:len(envelopeMagic)]) != envelopeMagic {
		return "", false
	}
	n := binary.LittleEndian.Uint32(head[len(envelopeMagic):])
	if uint64(n) > uint64(len(head)-envelopeHeader) {
		return "", false
	}
	return string(head[envelopeHeader : envelopeHeader+n]), true
}
