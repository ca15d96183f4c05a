// Package origintest holds the laws that every store of originals obeys, run by each store's tests.
package origintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/origin"
)

// mib is the number of bytes in a mebibyte.
const mib = 1 << 20

// pictures are the sources that the laws of reading are tried on.
func pictures() map[string][]byte {
	return map[string][]byte{
		"cat":                     []byte("0123456789"),
		"products/6e0/072/shoe_1": content(70_000, 1),
		"1/2/3/4/5/6/7/8":         content(1, 2),
		"straße/Größe-2.0~x":      content(300, 3),
		"हिन्दी/ภาพ":              content(301, 4),
		"UPPER.JPG":               content(302, 5),
		"_-~":                     content(303, 6),
		"empty":                   {},
		"big":                     content(5*mib, 7),
		strings.Repeat("a", 128) + "/" + strings.Repeat("b", 126): content(304, 8),
	}
}

// content makes bytes that no other seed makes.
func content(size int, seed uint64) []byte {
	body := make([]byte, size)
	random := rand.New(rand.NewPCG(seed, 42))
	for i := range body {
		body[i] = byte(random.Uint32())
	}
	return body
}

// RunReader tries the laws of reading on what open returns: a reader of exactly these sources.
func RunReader(t *testing.T, open func(t *testing.T, sources map[string][]byte) origin.Reader) {
	sources := pictures()
	r := open(t, sources)
	t.Run("stat", func(t *testing.T) { statLaw(t, r, sources) })
	t.Run("whole", func(t *testing.T) { wholeLaw(t, r, sources) })
	t.Run("range", func(t *testing.T) { rangeLaw(t, r) })
	t.Run("absent", func(t *testing.T) { absentLaw(t, r) })
	t.Run("hostile", func(t *testing.T) { hostileReadLaw(t, r) })
	t.Run("cancelled", func(t *testing.T) { cancelledReadLaw(t, r) })
	t.Run("concurrent", func(t *testing.T) { concurrentReadLaw(t, r, sources) })
}

var versionGrammar = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

func statLaw(t *testing.T, r origin.Reader, sources map[string][]byte) {
	for id, body := range sources {
		info, err := r.Stat(t.Context(), id)
		if err != nil {
			t.Errorf("Stat(%q): %v", id, err)
			continue
		}
		if info.Size != int64(len(body)) {
			t.Errorf("Stat(%q).Size = %d, want %d", id, info.Size, len(body))
		}
		if !versionGrammar.MatchString(info.Version) {
			t.Errorf("Stat(%q).Version = %q, outside %v", id, info.Version, versionGrammar)
		}
		if !info.Modified.Equal(info.Modified.Truncate(time.Second)) {
			t.Errorf("Stat(%q).Modified = %v, not whole seconds", id, info.Modified)
		}
		again, err := r.Stat(t.Context(), id)
		if err != nil || again != info {
			t.Errorf("second Stat(%q) = %+v, %v; first %+v", id, again, err, info)
		}
	}
}

func wholeLaw(t *testing.T, r origin.Reader, sources map[string][]byte) {
	for id, body := range sources {
		info, err := r.Stat(t.Context(), id)
		if err != nil {
			t.Fatalf("Stat(%q): %v", id, err)
		}
		opened, got := read(t, r, id, origin.Range{})
		if opened != info {
			t.Errorf("Open(%q) has %+v, Stat %+v", id, opened, info)
		}
		if !bytes.Equal(got, body) {
			t.Errorf("Open(%q): %d bytes that are not the %d stored", id, len(got), len(body))
		}
	}
}

func rangeLaw(t *testing.T, r origin.Reader) {
	tests := []struct {
		id   string
		part origin.Range
		want string
	}{
		{"cat", origin.Range{}, "0123456789"},
		{"cat", origin.Range{Length: 1}, "0"},
		{"cat", origin.Range{Length: 10}, "0123456789"},
		{"cat", origin.Range{Length: 11}, "0123456789"},
		{"cat", origin.Range{Length: 1 << 62}, "0123456789"},
		{"cat", origin.Range{Offset: 3}, "3456789"},
		{"cat", origin.Range{Offset: 3, Length: 4}, "3456"},
		{"cat", origin.Range{Offset: 9}, "9"},
		{"cat", origin.Range{Offset: 9, Length: 5}, "9"},
		{"cat", origin.Range{Offset: 10}, ""},
		{"cat", origin.Range{Offset: 10, Length: 1}, ""},
		{"cat", origin.Range{Offset: 1 << 40}, ""},
		{"cat", origin.Range{Offset: 1<<63 - 1, Length: 1<<63 - 1}, ""},
		{"empty", origin.Range{}, ""},
		{"empty", origin.Range{Length: 1}, ""},
		{"empty", origin.Range{Offset: 1, Length: 1}, ""},
	}
	for _, test := range tests {
		info, err := r.Stat(t.Context(), test.id)
		if err != nil {
			t.Fatalf("Stat(%q): %v", test.id, err)
		}
		opened, got := read(t, r, test.id, test.part)
		if diff := cmp.Diff(test.want, string(got)); diff != "" {
			t.Errorf("Open(%q, %+v) (-want +got):\n%s", test.id, test.part, diff)
		}
		if opened != info {
			t.Errorf("Open(%q, %+v) has %+v, Stat %+v", test.id, test.part, opened, info)
		}
	}
	for _, part := range []origin.Range{{Offset: -1}, {Length: -1}} {
		if object, err := r.Open(t.Context(), "cat", part); err == nil {
			_ = object.Body.Close()
			t.Errorf("Open with %+v: no error", part)
		}
	}
}

func absentLaw(t *testing.T, r origin.Reader) {
	for _, id := range []string{"dog", "cat.jpg", "CAT", "ca", "cat/dog", "products", "products/6e0", "products/6e0/072", "products/6e0/072/shoe_1/x"} {
		if _, err := r.Stat(t.Context(), id); !errors.Is(err, origin.ErrNotFound) {
			t.Errorf("Stat(%q): %v, want ErrNotFound", id, err)
		}
		object, err := r.Open(t.Context(), id, origin.Range{})
		if !errors.Is(err, origin.ErrNotFound) {
			t.Errorf("Open(%q): %v, want ErrNotFound", id, err)
		}
		if err == nil {
			_ = object.Body.Close()
		}
	}
}

func hostileReadLaw(t *testing.T, r origin.Reader) {
	for _, id := range HostileIDs() {
		if _, err := r.Stat(t.Context(), id); !errors.Is(err, origin.ErrBadID) {
			t.Errorf("Stat(%q): %v, want ErrBadID", id, err)
		}
		object, err := r.Open(t.Context(), id, origin.Range{})
		if !errors.Is(err, origin.ErrBadID) {
			t.Errorf("Open(%q): %v, want ErrBadID", id, err)
		}
		if err == nil {
			_ = object.Body.Close()
		}
	}
}

func cancelledReadLaw(t *testing.T, r origin.Reader) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Stat(ctx, "cat"); !errors.Is(err, context.Canceled) {
		t.Errorf("Stat with an ended context: %v", err)
	}
	if object, err := r.Open(ctx, "cat", origin.Range{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with an ended context: %v, %v", object, err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	object, err := r.Open(ctx, "big", origin.Range{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer func() { _ = object.Body.Close() }()
	if _, err := io.ReadFull(object.Body, make([]byte, 1000)); err != nil {
		t.Fatalf("read: %v", err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, object.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("reading on after the context ended: %v", err)
	}
}

func concurrentReadLaw(t *testing.T, r origin.Reader, sources map[string][]byte) {
	var readers sync.WaitGroup
	for range 16 {
		readers.Go(func() {
			for id, body := range sources {
				if _, got, err := tryRead(t.Context(), r, id, origin.Range{}); err != nil || !bytes.Equal(got, body) {
					t.Errorf("concurrent Open(%q): %d bytes, %v; want %d", id, len(got), err, len(body))
				}
			}
		})
	}
	readers.Wait()
}

// read returns a source's bytes and ends the test when it cannot.
func read(t *testing.T, r origin.Reader, id string, part origin.Range) (origin.Info, []byte) {
	t.Helper()
	info, body, err := tryRead(t.Context(), r, id, part)
	if err != nil {
		t.Fatalf("read %q %+v: %v", id, part, err)
	}
	return info, body
}

func tryRead(ctx context.Context, r origin.Reader, id string, part origin.Range) (origin.Info, []byte, error) {
	object, err := r.Open(ctx, id, part)
	if err != nil {
		return origin.Info{}, nil, err
	}
	body, err := io.ReadAll(object.Body)
	if closed := object.Body.Close(); closed != nil {
		err = errors.Join(err, fmt.Errorf("close: %w", closed))
	}
	return object.Info, body, err
}
