package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"deckle/catalog"
	"deckle/catalog/sqlite"
	"deckle/internal/testclock"
	"deckle/internal/testimage"
	"deckle/origin"
	"deckle/origin/file"
	"deckle/transform"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a service on a real store and a real catalog in a directory of its own, with faults to switch on.
type bench struct {
	*Service
	t        testing.TB
	dir      string
	catalog  *catalog.Catalog
	store    *faultStore
	engine   *goEngine
	versions *versionLog
	clock    *testclock.Clock
	purgeErr error

	mu     sync.Mutex // of what Purge notes, which several deletes may call at once
	purged []string
}

func newBench(t testing.TB, change ...func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), clock: testclock.At(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))}
	if err := os.WriteFile(filepath.Join(b.dir, "catalog.db"), emptyCatalog(), 0o600); err != nil {
		t.Fatal(err)
	}
	b.start(change...)
	return b
}

// emptyCatalog returns the file of a catalog without anything in it: making one takes longer than most tests.
var emptyCatalog = sync.OnceValue(func() []byte {
	dir, err := os.MkdirTemp("", "deckle-ingest-*")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "catalog.db")
	made, err := sqlite.Open(path)
	if err == nil {
		err = made.Close()
	}
	if err != nil {
		panic(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return file
})

// start opens what lies in the directory, as a new process does.
func (b *bench) start(change ...func(*Config)) {
	b.t.Helper()
	files, err := file.New(filepath.Join(b.dir, "originals"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = files.Close() })
	if b.catalog, err = sqlite.Open(filepath.Join(b.dir, "catalog.db")); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = b.catalog.Close() }) // crashes close it themselves
	b.store, b.engine, b.versions = &faultStore{Store: files}, &goEngine{}, &versionLog{}
	config := Config{
		Store: b.store, Catalog: b.catalog, Engine: b.engine, Versions: b.versions, Now: b.clock.Now,
		Patience: 50 * time.Millisecond,
		Purge: func(_ context.Context, id string) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.purged = append(b.purged, id)
			return b.purgeErr
		},
	}
	for _, f := range change {
		f(&config)
	}
	b.Service = New(config)
}

func (b *bench) token(id string, replace bool) string {
	b.t.Helper()
	grant, err := b.Grant(b.t.Context(), GrantRequest{ID: id, Replace: replace})
	if err != nil {
		b.t.Fatal(err)
	}
	return grant.Token
}

func (b *bench) send(id, token string, body []byte) (Receipt, error) {
	return b.Receive(b.t.Context(), Upload{ID: id, Token: token, Body: bytes.NewReader(body)})
}

func (b *bench) mustSend(id, token string, body []byte) Receipt {
	b.t.Helper()
	receipt, err := b.send(id, token, body)
	if err != nil {
		b.t.Fatal(err)
	}
	return receipt
}

// stored returns what the store holds under id, nil when nothing.
func (b *bench) stored(id string) []byte {
	b.t.Helper()
	object, err := b.store.Open(b.t.Context(), id, origin.Range{})
	if errors.Is(err, origin.ErrNotFound) {
		return nil
	}
	if err != nil {
		b.t.Fatal(err)
	}
	data, err := io.ReadAll(object.Body)
	if err := errors.Join(err, object.Body.Close()); err != nil {
		b.t.Fatal(err)
	}
	return data
}

// checkWhole fails the test when a record lacks its bytes or a staged object is left over.
func (b *bench) checkWhole() {
	b.t.Helper()
	if missing, err := b.Check(b.t.Context()); err != nil || len(missing) > 0 {
		b.t.Errorf("records without bytes: %q, error %v", missing, err)
	}
	if n := b.store.open.Load(); n != 0 {
		b.t.Errorf("%d staged objects were neither committed nor aborted", n)
	}
}

// faultStore is a store whose steps can be made to fail.
type faultStore struct {
	origin.Store
	stage, write, beforeCommit, afterCommit func() error
	beforeDelete, afterDelete               func() error
	beforePrivate, afterPrivate             func() error
	open                                    atomic.Int64 // staged objects neither committed nor aborted
	commits                                 atomic.Int64 // that succeeded
}

func run(hook func() error) error {
	if hook == nil {
		return nil
	}
	return hook()
}

func (s *faultStore) Room(area origin.Area, id string) (origin.Room, error) {
	room, err := s.Store.(origin.Areas).Room(area, id)
	return faultRoom{room, s}, err
}

func (s *faultStore) Rooms(area origin.Area) ([]origin.Room, error) {
	room, err := s.Room(area, "")
	return []origin.Room{room}, err
}

// faultRoom has its store's faults.
type faultRoom struct {
	origin.Room
	store *faultStore
}

func (r faultRoom) Stage(ctx context.Context) (origin.Staged, error) {
	return r.store.stageIn(ctx, r.Room)
}

func (r faultRoom) Delete(ctx context.Context, id string) error {
	return r.store.remove(func() error { return r.Room.Delete(ctx, id) })
}

func (s *faultStore) Delete(ctx context.Context, id string) error {
	return s.remove(func() error { return s.Store.Delete(ctx, id) })
}

func (s *faultStore) SetPrivate(ctx context.Context, id string, private bool) (origin.Info, error) {
	if err := run(s.beforePrivate); err != nil {
		return origin.Info{}, err
	}
	info, err := s.Store.SetPrivate(ctx, id, private)
	if err != nil {
		return info, err
	}
	return info, run(s.afterPrivate)
}

func (s *faultStore) remove(do func() error) error {
	if err := run(s.beforeDelete); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return run(s.afterDelete)
}

func (s *faultStore) Stage(ctx context.Context) (origin.Staged, error) {
	return s.stageIn(ctx, s.Store)
}

func (s *faultStore) stageIn(ctx context.Context, to origin.Writer) (origin.Staged, error) {
	if err := run(s.stage); err != nil {
		return nil, err
	}
	staged, err := to.Stage(ctx)
	if err != nil {
		return nil, err
	}
	s.open.Add(1)
	return &faultStaged{Staged: staged, store: s}, nil
}

type faultStaged struct {
	origin.Staged
	store *faultStore
	ended bool
}

func (u *faultStaged) Write(p []byte) (int, error) {
	if err := run(u.store.write); err != nil {
		return 0, err
	}
	return u.Staged.Write(p)
}

func (u *faultStaged) Commit(ctx context.Context, id string, replace bool) (origin.Info, error) {
	if err := run(u.store.beforeCommit); err != nil {
		return origin.Info{}, err
	}
	info, err := u.Staged.Commit(ctx, id, replace)
	if err != nil {
		return info, err
	}
	u.end()
	u.store.commits.Add(1)
	return info, run(u.store.afterCommit)
}

func (u *faultStaged) Abort() error {
	u.end()
	return u.Staged.Abort()
}

func (u *faultStaged) end() {
	if !u.ended {
		u.ended = true
		u.store.open.Add(-1)
	}
}

// goEngine crops with the standard library.
type goEngine struct {
	err    error
	panics bool
	cannot transform.Format
	specs  []transform.Spec
}

func (e *goEngine) Writes(f transform.Format) bool { return f != e.cannot }

func (e *goEngine) Render(_ context.Context, source []byte, spec transform.Spec) (*transform.Picture, error) {
	e.specs = append(e.specs, spec)
	if e.panics {
		panic("engine fault, on purpose")
	}
	if e.err != nil {
		return nil, e.err
	}
	img, _, err := image.Decode(bytes.NewReader(source))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", transform.ErrMalformed, err)
	}
	if spec.Crop == (transform.Crop{}) {
		return whole(img, source, spec)
	}
	kept := image.Rect(spec.Crop.X, spec.Crop.Y, spec.Crop.X+spec.Crop.W, spec.Crop.Y+spec.Crop.H).Intersect(img.Bounds())
	out := image.NewNRGBA(image.Rect(0, 0, kept.Dx(), kept.Dy()))
	draw.Draw(out, out.Bounds(), img, kept.Min, draw.Src)
	body := testimage.PNG(out)
	if spec.Format == transform.JPEG {
		body = testimage.JPEG(out, spec.Quality)
	}
	return &transform.Picture{Body: body, Format: spec.Format, Width: kept.Dx(), Height: kept.Dy(), Frames: 1}, nil
}

// whole renders a picture upright, turned, and cut to the size of a placeholder.
func whole(img image.Image, source []byte, spec transform.Spec) (*transform.Picture, error) {
	header, err := transform.DefaultLimits().ReadHeader(source)
	if err != nil {
		return nil, err
	}
	out := oriented(img, turnOrientation(header.Orientation, Turn(spec.Rotate)))
	if spec.Width > 0 {
		out = out.SubImage(image.Rect(0, 0, spec.Width, spec.Height)).(*image.NRGBA)
	}
	body := testimage.PNG(out)
	if spec.Format == transform.JPEG {
		body = testimage.JPEG(out, spec.Quality)
	}
	return &transform.Picture{Body: body, Format: spec.Format, Width: out.Rect.Dx(), Height: out.Rect.Dy(), Frames: 1}, nil
}

// oriented shows a picture as an orientation says (EXIF 2.32, 4.6.4): where row 0 and column 0 of what is stored are.
func oriented(img image.Image, orientation int) *image.NRGBA {
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	if orientation >= 5 {
		w, h = h, w
	}
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			sx, sy := x, y
			switch orientation {
			case 2: // row 0 at the top, column 0 at the right
				sx = w - 1 - x
			case 3:
				sx, sy = w-1-x, h-1-y
			case 4:
				sy = h - 1 - y
			case 5: // row 0 at the left, column 0 at the top
				sx, sy = y, x
			case 6: // row 0 at the right, column 0 at the top
				sx, sy = y, w-1-x
			case 7: // row 0 at the right, column 0 at the bottom
				sx, sy = h-1-y, w-1-x
			case 8: // row 0 at the left, column 0 at the bottom
				sx, sy = h-1-y, x
			}
			out.Set(x, y, img.At(img.Bounds().Min.X+sx, img.Bounds().Min.Y+sy))
		}
	}
	return out
}

// versionLog remembers what it is told.
type versionLog struct {
	mu          sync.Mutex
	set         map[string]origin.Info
	invalidated []string
	gone        []string
}

func (v *versionLog) Gone(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.gone = append(v.gone, id)
}

func (v *versionLog) Set(id string, info origin.Info) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.set == nil {
		v.set = map[string]origin.Info{}
	}
	v.set[id] = info
}

func (v *versionLog) Invalidate(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.invalidated = append(v.invalidated, id)
}
