package ingest

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/catalog"
	"deckle/internal/testimage"
	"deckle/origin"
	"deckle/transform"
)

func photo(seed uint64) []byte { return testimage.JPEG(testimage.Photo(64, 48, seed), 90) }

func md5sum(data []byte) string {
	sum := md5.Sum(data)
	return hex.EncodeToString(sum[:])
}

func sha(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func TestReceive(t *testing.T) {
	wide := testimage.Quadrants(40, 30)
	for _, row := range []struct {
		name          string
		body          []byte
		format        transform.Format
		width, height int
	}{
		{"jpeg", testimage.JPEG(wide, 80), transform.JPEG, 40, 30},
		{"jpeg on its side", testimage.WithEXIF(testimage.JPEG(wide, 80), 6), transform.JPEG, 30, 40},
		{"png", testimage.PNG(wide), transform.PNG, 40, 30},
		{"gif", testimage.GIF(wide, wide), transform.GIF, 40, 30},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			id := "pictures/" + strings.ReplaceAll(row.name, " ", "-")
			got := b.mustSend(id, b.token(id, false), row.body)
			info, err := b.store.Stat(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			want := Receipt{
				ID: id, Version: info.Version, SHA256: sha(row.body), Bytes: int64(len(row.body)),
				Format: row.format, Width: row.width, Height: row.height, MD5: md5sum(row.body),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("receipt (-want +got):\n%s", diff)
			}
			if !bytes.Equal(b.stored(id), row.body) {
				t.Error("the store holds other bytes than were sent")
			}
			wantRecord := catalog.Record{
				ID: id, Version: info.Version, SHA256: want.SHA256, Bytes: want.Bytes, Format: row.format.String(),
				Width: row.width, Height: row.height, Created: b.clock.Now(), Updated: b.clock.Now(), Time: b.clock.Now(), MD5: want.MD5,
			}
			record, err := b.catalog.Record(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wantRecord, record); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(info, b.versions.set[id]); diff != "" {
				t.Errorf("version told (-want +got):\n%s", diff)
			}
			if len(b.purged) > 0 {
				t.Errorf("purged %q, though nothing was replaced", b.purged)
			}
			b.checkWhole()
		})
	}
}

// unread fails the test when it is read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestBadTokenCostsNothing(t *testing.T) {
	b := newBench(t)
	good := b.token("cat", false)
	for _, row := range []struct {
		name, id, token string
		late            time.Duration
		want            error
	}{
		{"none", "cat", "", 0, ErrToken},
		{"unknown", "cat", strings.Repeat("A", len(good)), 0, ErrToken},
		{"cut", "cat", good[:len(good)-1], 0, ErrToken},
		{"huge", "cat", strings.Repeat("A", 1<<20), 0, ErrToken},
		{"for another id", "dog", good, 0, ErrToken},
		{"bad id", "../cat", good, 0, origin.ErrBadID},
		{"expired", "cat", good, 16 * time.Minute, ErrToken},
	} {
		t.Run(row.name, func(t *testing.T) {
			b.clock.Move(row.late)
			_, err := b.Receive(t.Context(), Upload{ID: row.id, Token: row.token, Body: unread{t}})
			if !errors.Is(err, row.want) {
				t.Fatalf("%v, want %v", err, row.want)
			}
		})
	}
}

func TestTokenIsGoodUntilTheLastMoment(t *testing.T) {
	b := newBench(t)
	token := b.token("cat", false)
	b.clock.Move(15*time.Minute + catalog.Skew - time.Millisecond)
	b.mustSend("cat", token, photo(1))
}

// TestRefused refuses uploads in every way and then sends a good one with the same token.
func TestRefused(t *testing.T) {
	fault := errors.New("a fault, on purpose")
	full := func() error { return fault }
	small := func(c *Config) {
		c.Limits = transform.DefaultLimits()
		c.Limits.SourceBytes, c.Limits.SourcePixels, c.Limits.SourceSide = 100_000, 4000, 100
	}
	body := bytes.NewReader
	for _, row := range []struct {
		name  string
		body  io.Reader
		crop  transform.Crop
		fault func(*bench)
		want  error

		badCrop bool // the error is a *transform.SpecError
	}{
		{name: "empty", body: body(nil), want: ErrNoImage},
		{name: "text", body: strings.NewReader("once upon a time there was no picture"), want: transform.ErrUnsupported},
		{name: "nothing but a signature", body: body(photo(1)[:4]), want: transform.ErrMalformed},
		{name: "too many bytes", body: body(make([]byte, 100_001)), want: ErrTooLarge},
		{name: "too many pixels", body: body(testimage.PNG(testimage.Quadrants(80, 80))), want: transform.ErrLimit},
		{name: "too wide", body: body(testimage.PNG(testimage.Quadrants(101, 2))), want: transform.ErrLimit},
		{name: "broken off", body: io.MultiReader(body(photo(1)[:100]), iotest.ErrReader(fault)), want: ErrAborted},
		{name: "broken off, its cause", body: iotest.ErrReader(fault), want: fault},
		{name: "no progress", body: stuck{}, want: io.ErrNoProgress},
		{name: "no room", body: body(photo(1)), fault: func(b *bench) { b.store.stage = full }, want: fault},
		{name: "disk full", body: body(photo(1)), fault: func(b *bench) { b.store.write = full }, want: fault},
		{name: "commit fails", body: body(photo(1)), fault: func(b *bench) { b.store.beforeCommit = full }, want: fault},
		{name: "commit's answer is lost", body: body(photo(2)), fault: func(b *bench) { b.store.afterCommit = full }, want: fault},
		{name: "crop beside the picture", body: body(photo(1)), crop: transform.Crop{X: 64, W: 1, H: 1}, badCrop: true},
		{name: "crop without a side", body: body(photo(1)), crop: transform.Crop{X: 1, W: 1}, badCrop: true},
		{name: "crop with a negative corner", body: body(photo(1)), crop: transform.Crop{X: -1, W: 9, H: 9}, badCrop: true},
		{
			name: "engine fails", body: body(photo(1)), crop: transform.Crop{W: 9, H: 9},
			fault: func(b *bench) { b.engine.err = transform.ErrBusy }, want: transform.ErrBusy,
		},
		{
			name: "commit of a crop fails", body: body(photo(1)), crop: transform.Crop{W: 9, H: 9},
			fault: func(b *bench) { b.store.beforeCommit = full }, want: fault,
		},
		{
			name: "crop too large", body: body(photo(1)), crop: transform.Crop{W: 64, H: 48},
			fault: func(b *bench) { b.config.Limits.SourceBytes = int64(len(photo(1))) }, want: transform.ErrLimit,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t, small)
			token := b.token("cat", false)
			limits := b.config.Limits
			if row.fault != nil {
				row.fault(b)
			}
			_, err := b.Receive(t.Context(), Upload{ID: "cat", Token: token, Body: row.body, Crop: row.crop})
			if row.badCrop && !errors.As(err, new(*transform.SpecError)) || !row.badCrop && !errors.Is(err, row.want) {
				t.Fatalf("%v, want %v, about the crop: %v", err, row.want, row.badCrop)
			}
			if strings.Contains(err.Error(), b.dir) {
				t.Errorf("the error tells a path: %v", err)
			}
			if _, err := b.catalog.Record(t.Context(), "cat"); !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("a record after the refusal: %v", err)
			}
			b.checkWhole()
			b.store.stage, b.store.write, b.store.beforeCommit, b.store.afterCommit = nil, nil, nil, nil
			b.config.Limits = limits
			b.mustSend("cat", token, photo(2))
			b.checkWhole()
		})
	}
}

// stuck is a body that gives nothing for ever.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestClientLeaves(t *testing.T) {
	b := newBench(t)
	token := b.token("cat", false)
	ctx, leave := context.WithCancel(t.Context())
	body := io.MultiReader(bytes.NewReader(photo(1)[:100]), readFunc(func([]byte) (int, error) {
		leave()
		return 0, nil
	}))
	if _, err := b.Receive(ctx, Upload{ID: "cat", Token: token, Body: body}); !errors.Is(err, ErrAborted) || !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want ErrAborted and why", err)
	}
	b.mustSend("cat", token, photo(1))
	b.checkWhole()
}

// TestClientLeavesAtTheEnd leaves with the last byte: what has come in is finished.
func TestClientLeavesAtTheEnd(t *testing.T) {
	b := newBench(t)
	token := b.token("cat", false)
	ctx, leave := context.WithCancel(t.Context())
	b.store.beforeCommit = func() error {
		leave()
		return nil
	}
	receipt, err := b.Receive(ctx, Upload{ID: "cat", Token: token, Body: bytes.NewReader(photo(1))})
	if err != nil {
		t.Fatal(err)
	}
	if again := b.mustSend("cat", token, photo(1)); again != receipt {
		t.Errorf("asked again: %+v, want %+v", again, receipt)
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestEnginePanicFreesTheGrant(t *testing.T) {
	b := newBench(t)
	token := b.token("cat", false)
	b.engine.panics = true
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = b.Receive(t.Context(), Upload{ID: "cat", Token: token, Body: bytes.NewReader(photo(1)), Crop: transform.Crop{W: 1, H: 1}})
	}()
	b.checkWhole()
	b.mustSend("cat", token, photo(1))
}

func TestRepeat(t *testing.T) {
	b := newBench(t)
	token := b.token("cat", false)
	first := b.mustSend("cat", token, photo(1))
	if again := b.mustSend("cat", token, photo(1)); again != first {
		t.Errorf("the same upload again: %+v, want %+v", again, first)
	}
	if _, err := b.send("cat", token, photo(2)); !errors.Is(err, ErrUsed) {
		t.Errorf("another body: %v, want ErrUsed", err)
	}
	_, err := b.Receive(t.Context(), Upload{ID: "cat", Token: token, Body: bytes.NewReader(photo(1)), Crop: transform.Crop{W: 1, H: 1}})
	if !errors.Is(err, ErrUsed) {
		t.Errorf("another crop: %v, want ErrUsed", err)
	}
	b.mustSend("cat", b.token("cat", true), photo(3))
	if again := b.mustSend("cat", token, photo(1)); again != first {
		t.Errorf("again after a replacement: %+v, want %+v", again, first)
	}
	if n := b.store.commits.Load(); n != 2 || !bytes.Equal(b.stored("cat"), photo(3)) {
		t.Errorf("%d commits, want 2, the last of them stored", n)
	}
	b.clock.Move(16 * time.Minute)
	if _, err := b.send("cat", token, photo(1)); !errors.Is(err, ErrToken) {
		t.Errorf("after the token's time: %v, want ErrToken", err)
	}
	b.checkWhole()
}

func TestReplace(t *testing.T) {
	b := newBench(t)
	first := b.mustSend("cat", b.token("cat", false), photo(1))
	created := b.clock.Now()
	b.clock.Move(time.Hour)
	b.purgeErr = errors.New("no tier answers")
	second := b.mustSend("cat", b.token("cat", true), photo(2))
	if first.Version == second.Version || b.versions.set["cat"].Version != second.Version {
		t.Errorf("versions %s, then %s, told %s", first.Version, second.Version, b.versions.set["cat"].Version)
	}
	if !bytes.Equal(b.stored("cat"), photo(2)) {
		t.Error("the store holds other bytes than were sent")
	}
	record, err := b.catalog.Record(t.Context(), "cat")
	if err != nil || record.SHA256 != sha(photo(2)) || !record.Created.Equal(created) || !record.Updated.Equal(b.clock.Now()) {
		t.Errorf("record %+v, error %v", record, err)
	}
	if diff := cmp.Diff([]string{"cat"}, b.purged); diff != "" {
		t.Errorf("purged (-want +got):\n%s", diff)
	}
}
