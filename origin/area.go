package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"
)

// Area names the rooms of stores in which sources are kept that nobody is to read.
type Area string

// The areas.
const (
	Incoming Area = "incoming" // uploads that are not published yet
	Trash    Area = "trash"    // sources that were deleted, and not yet for good
)

// Dir is what an area is called in a store. No segment of an id begins with a dot, so that no id reaches into it.
func (a Area) Dir() string { return "." + string(a) }

// Room is a store within a store, whose ids mean nothing outside it and have one segment.
type Room interface {
	Store
	// List returns up to limit of what the room holds, of ids after the one given and in their order. An empty page is the end.
	List(ctx context.Context, after string, limit int) ([]Listed, error)
}

// Listed is one source of a room.
type Listed struct {
	ID       string
	Modified time.Time // when it was stored
}

// Areas is a Store that has rooms.
type Areas interface {
	// Room returns the room that belongs to an id, in the store of that id. ErrReadOnly where there is none.
	Room(area Area, id string) (Room, error)
	// Rooms returns all rooms of that name.
	Rooms(area Area) ([]Room, error)
}

// Presigner is a Room that lets others store a source with one PUT of theirs, without asking us.
type Presigner interface {
	// PresignPut returns the URL and the headers of a PUT under an id, which is refused when the id is taken, and after the
	// lifetime. How many bytes come is for whoever reads them to check.
	PresignPut(ctx context.Context, id string, lifetime time.Duration) (url string, header http.Header, err error)
}

// Copy stores the source of one store under an id of another, which may be the same, private if it was, and returns what Stat will
// say of it. The
// bytes go through check, where it is given, before they are stored: its error is Copy's.
func Copy(ctx context.Context, from Reader, fromID string, to Writer, toID string, replace bool, check func(path string) error) (info Info, err error) {
	staged, err := StageCopy(ctx, from, fromID, to)
	if err != nil {
		return Info{}, err
	}
	defer func() { err = errors.Join(err, staged.Abort()) }()
	if check != nil {
		if err := check(staged.Path()); err != nil {
			return Info{}, err
		}
	}
	return staged.Commit(ctx, toID, replace)
}

// copyBuffer is what a copy holds of a source at a time, bytes.
const copyBuffer = 256 << 10

// StageCopy is Stage with the bytes of a source. It is private when the source is.
func StageCopy(ctx context.Context, from Reader, id string, to Writer) (staged Staged, err error) {
	object, err := from.Open(ctx, id, Range{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, object.Body.Close()) }()
	if staged, err = to.Stage(ctx); err != nil {
		return nil, err
	}
	staged.SetPrivate(object.Private)
	// The staged object may count or hash what is written, so that neither end can copy in its own way.
	if _, err := io.CopyBuffer(struct{ io.Writer }{staged}, struct{ io.Reader }{object.Body}, make([]byte, copyBuffer)); err != nil {
		return nil, errors.Join(fmt.Errorf("copy original: %w", err), staged.Abort())
	}
	return staged, nil
}

// StoreFault returns what a fault of a store's disk means: ErrUnavailable, and ErrFull besides where there is no room left.
func StoreFault(verb string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%s: %w: %w: %w", verb, ErrFull, ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w: %w", verb, ErrUnavailable, err)
}

var _ Areas = (*Route)(nil)

// Room asks the store of the id.
func (r *Route) Room(area Area, id string) (Room, error) {
	w, err := r.writer(id)
	if err != nil {
		return nil, err
	}
	if areas, ok := w.(Areas); ok {
		return areas.Room(area, id)
	}
	return nil, ErrReadOnly
}

// Rooms asks all stores.
func (r *Route) Rooms(area Area) (all []Room, err error) {
	for _, rule := range r.rules {
		areas, ok := rule.Store.(Areas)
		if !ok {
			continue
		}
		rooms, err := areas.Rooms(area)
		if err != nil {
			return nil, err
		}
		all = append(all, rooms...)
	}
	return all, nil
}
