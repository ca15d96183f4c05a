package ingest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestBusy(t *testing.T) {
	b := newBench(t, func(c *Config) { c.MaxConcurrent, c.SlotWait = 1, time.Millisecond })
	token := b.token("cat", false)
	reading, goOn := make(chan struct{}), make(chan struct{})
	var first sync.WaitGroup
	first.Go(func() {
		wait := readFunc(func([]byte) (int, error) {
			close(reading)
			<-goOn
			return 0, io.EOF
		})
		body := io.MultiReader(wait, bytes.NewReader(photo(1)))
		if _, err := b.Receive(t.Context(), Upload{ID: "cat", Token: token, Body: body}); err != nil {
			t.Error(err)
		}
	})
	<-reading
	if _, err := b.Receive(t.Context(), Upload{ID: "dog", Token: token, Body: unread{t}}); !errors.Is(err, ErrBusy) {
		t.Errorf("%v, want ErrBusy", err)
	}
	close(goOn)
	first.Wait()
	b.mustSend("dog", b.token("dog", false), photo(1))
}

// TestOneTokenManyUploads sends different bodies with one token at once: one of them is stored, the others are told.
func TestOneTokenManyUploads(t *testing.T) {
	const uploads = 64
	b := newBench(t, func(c *Config) { c.MaxConcurrent = uploads })
	token := b.token("cat", true)
	start := make(chan struct{})
	receipts := make(chan Receipt, uploads)
	var senders sync.WaitGroup
	for i := range uploads {
		body := photo(uint64(i))
		senders.Go(func() {
			<-start
			receipt, err := b.send("cat", token, body)
			switch {
			case err == nil:
				receipts <- receipt
			case !errors.Is(err, ErrUsed):
				t.Errorf("upload %d: %v, want ErrUsed", i, err)
			}
		})
	}
	close(start)
	senders.Wait()
	if len(receipts) != 1 || b.store.commits.Load() != 1 {
		t.Fatalf("%d receipts and %d commits, want 1 and 1", len(receipts), b.store.commits.Load())
	}
	if receipt := <-receipts; receipt.SHA256 != sha(b.stored("cat")) {
		t.Error("the receipt is not that of the stored bytes")
	}
	b.checkWhole()
}

// TestTokenIsNotStored looks for the token's text in all that was written.
func TestTokenIsNotStored(t *testing.T) {
	b := newBench(t)
	tokens := []string{b.token("cat", false), b.token("dog", false)}
	b.mustSend("cat", tokens[0], photo(1))
	files, err := filepath.Glob(filepath.Join(b.dir, "catalog.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files of the catalog: %q, %v", files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range tokens {
			if bytes.Contains(data, []byte(token)) {
				t.Errorf("%s holds a token", filepath.Base(name))
			}
		}
	}
}
