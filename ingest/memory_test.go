package ingest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// endless gives zeros for ever and counts them.
type endless struct{ given int64 }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.given += int64(len(p))
	return len(p), nil
}

// allocated returns how many bytes do allocates, garbage included: an upper bound of how much memory it grows by.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// mostMemory is what one upload may allocate, bytes: its buffer, and what the catalog's statements take.
const mostMemory = 1 << 20

func TestOversizeIsCutOff(t *testing.T) {
	b := newBench(t)
	token := b.token("cat", false)
	limit := b.config.Limits.SourceBytes
	var largest int64
	b.store.write = func() error {
		files, err := filepath.Glob(filepath.Join(b.dir, "originals", ".tmp", "*"))
		for _, name := range files {
			if info, err := os.Stat(name); err == nil {
				largest = max(largest, info.Size())
			}
		}
		return err
	}
	body := &endless{}
	grew := allocated(func() {
		_, err := b.Receive(t.Context(), Upload{ID: "cat", Token: token, Body: io.LimitReader(body, 200<<20)})
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v, want ErrTooLarge", err)
		}
	})
	if body.given > limit+bufferBytes {
		t.Errorf("%d bytes of the body were read, the limit is %d", body.given, limit)
	}
	if largest == 0 || largest > limit {
		t.Errorf("%d bytes were staged, the limit is %d", largest, limit)
	}
	t.Logf("read %d of %d bytes, staged %d, allocated %d in %d writes", body.given, 200<<20, largest, grew, limit/bufferBytes)
	b.checkWhole()
	b.mustSend("cat", token, photo(1))
}

func TestMemoryDoesNotGrowWithTheBody(t *testing.T) {
	for _, size := range []int64{1 << 20, 32 << 20} {
		b := newBench(t)
		token := b.token("cat", false)
		head := photo(1)
		// Decoders ignore what follows a JPEG's last marker.
		body := io.MultiReader(bytes.NewReader(head), io.LimitReader(&endless{}, size-int64(len(head))))
		grew := allocated(func() {
			receipt, err := b.Receive(t.Context(), Upload{ID: "cat", Token: token, Body: body})
			if err != nil || receipt.Bytes != size {
				t.Errorf("receipt %+v, error %v", receipt, err)
			}
		})
		if grew > mostMemory {
			t.Errorf("an upload of %d bytes allocated %d, want at most %d", size, grew, mostMemory)
		}
		t.Logf("an upload of %d bytes allocated %d", size, grew)
	}
}
