package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Rule sends the ids under a prefix to one store.
type Rule struct {
	Prefix string // whole segments, without a slash at either end; "" is every id
	Store  Reader // may be a Store, which makes the ids under Prefix writable
}

// Route joins several stores by id prefix: the longest prefix of whole segments wins. Stores see the id unchanged. An id
// that no rule covers is ErrNotFound to read and ErrReadOnly to write.
type Route struct {
	rules   []Rule // longest prefix first
	staging Writer // where uploads wait, since their id is known at Commit only; nil when nothing can be written
}

var _ Store = (*Route)(nil)

// NewRoute checks the rules: every prefix is an id or empty, and none appears twice.
func NewRoute(rules ...Rule) (*Route, error) {
	r := &Route{rules: slices.Clone(rules)}
	slices.SortStableFunc(r.rules, func(a, b Rule) int { return len(b.Prefix) - len(a.Prefix) })
	for i, rule := range r.rules {
		if rule.Prefix != "" {
			if err := CheckID(rule.Prefix); err != nil {
				return nil, fmt.Errorf("route %q: %w", rule.Prefix, err)
			}
		}
		if slices.ContainsFunc(r.rules[:i], func(other Rule) bool { return other.Prefix == rule.Prefix }) {
			return nil, fmt.Errorf("route %q: given twice", rule.Prefix)
		}
		// The rule with the shortest prefix is the likeliest target, and uploads that wait there need no second copy.
		if w, ok := rule.Store.(Writer); ok {
			r.staging = w
		}
	}
	return r, nil
}

// store returns the store of an id, nil when no rule covers it.
func (r *Route) store(id string) Reader {
	for _, rule := range r.rules {
		rest, found := strings.CutPrefix(id, rule.Prefix)
		if found && (rule.Prefix == "" || rest == "" || rest[0] == '/') {
			return rule.Store
		}
	}
	return nil
}

func (r *Route) reader(id string) (Reader, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	if store := r.store(id); store != nil {
		return store, nil
	}
	return nil, fmt.Errorf("%w: no store is configured for it", ErrNotFound)
}

func (r *Route) writer(id string) (Writer, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	if w, ok := r.store(id).(Writer); ok {
		return w, nil
	}
	return nil, ErrReadOnly
}

// Stat asks the store of the id.
func (r *Route) Stat(ctx context.Context, id string) (Info, error) {
	store, err := r.reader(id)
	if err != nil {
		return Info{}, err
	}
	return store.Stat(ctx, id)
}

// Open reads from the store of the id.
func (r *Route) Open(ctx context.Context, id string, part Range) (*Object, error) {
	store, err := r.reader(id)
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, id, part)
}

// Delete removes from the store of the id.
func (r *Route) Delete(ctx context.Context, id string) error {
	w, err := r.writer(id)
	if err != nil {
		return err
	}
	return w.Delete(ctx, id)
}

// SetPrivate asks the store of the id.
func (r *Route) SetPrivate(ctx context.Context, id string, private bool) (Info, error) {
	w, err := r.writer(id)
	if err != nil {
		return Info{}, err
	}
	return w.SetPrivate(ctx, id, private)
}

// Stage opens room in the writable store with the shortest prefix; a Commit to another store copies the bytes there.
// ErrReadOnly when no store can be written.
func (r *Route) Stage(ctx context.Context) (Staged, error) {
	if r.staging == nil {
		return nil, ErrReadOnly
	}
	staged, err := r.staging.Stage(ctx)
	if err != nil {
		return nil, err
	}
	return &routed{Staged: staged, route: r}, nil
}

// routed is an upload whose store is not known before its id is.
type routed struct {
	Staged
	route   *Route
	private bool
}

func (s *routed) SetPrivate(private bool) {
	s.private = private
	s.Staged.SetPrivate(private)
}

func (s *routed) Commit(ctx context.Context, id string, replace bool) (Info, error) {
	target, err := s.route.writer(id)
	if err != nil {
		return Info{}, err
	}
	if target == s.route.staging {
		return s.Staged.Commit(ctx, id, replace)
	}
	info, err := copyTo(ctx, target, s.Path(), id, replace, s.private)
	if err == nil {
		// The upload is safe under its id; what is left here is only room to give back.
		_ = s.Abort()
	}
	return info, err
}

func copyTo(ctx context.Context, target Writer, path, id string, replace, private bool) (info Info, err error) {
	source, err := os.Open(path)
	if err != nil {
		return Info{}, fmt.Errorf("route upload: %w: %w", ErrUnavailable, err)
	}
	defer func() { _ = source.Close() }()
	staged, err := target.Stage(ctx)
	if err != nil {
		return Info{}, err
	}
	defer func() { err = errors.Join(err, staged.Abort()) }()
	staged.SetPrivate(private)
	if _, err := io.Copy(staged, source); err != nil {
		return Info{}, fmt.Errorf("route upload: %w: %w", ErrUnavailable, err)
	}
	return staged.Commit(ctx, id, replace)
}
