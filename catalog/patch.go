package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Patch changes what people said of records. What is nil or empty is left alone.
type Patch struct {
	Set   map[string]any // dotted paths in data, and what they lead to then; objects are made on the way
	Unset []string       // dotted paths in data
	Tags  *[]string      // all of them; AddTags and RemoveTags come after
	// AddTags and RemoveTags compare case-folded.
	AddTags, RemoveTags []string
	Name                *string
	File                *string
}

// check refuses patches that say two things of one place.
func (p Patch) check() error {
	paths := slices.Concat(p.Unset, slices.Collect(maps.Keys(p.Set)))
	slices.Sort(paths)
	for i, path := range paths {
		if slices.Contains(strings.Split(path, "."), "") {
			return fmt.Errorf("%w: %q is no dotted path", ErrPatch, path)
		}
		for _, other := range paths[i+1:] {
			if other == path || strings.HasPrefix(other, path+".") {
				return fmt.Errorf("%w: %q and %q are changed at once", ErrPatch, path, other)
			}
		}
	}
	return nil
}

const (
	// MaxUpdate bounds what one Update changes: it is one transaction, and other writers wait for it.
	MaxUpdate     = 10_000
	updateTimeout = time.Minute
)

// Update patches the records that q selects, whatever its Sort, Limit and Skip, all or none. It returns how many were selected, and
// how many of these are different now. ErrPatch when one cannot be patched, ErrFile when two would have one file, and ErrQuery
// when more than MaxUpdate are selected.
func (c *Catalog) Update(ctx context.Context, q Query, p Patch) (matched, changed int64, err error) {
	if err := p.check(); err != nil {
		return 0, 0, err
	}
	q.Limit, q.Skip, q.After = 0, 0, ""
	var selected *selection
	err = c.ask(ctx, findTimeout, func(ctx context.Context, conn *sql.Conn) error {
		selected, err = c.prepare(ctx, conn, q, false)
		return err
	})
	if err == nil {
		err = c.transactFor(ctx, updateTimeout, func(ctx context.Context, tx *sql.Tx) error {
			matched, changed, err = c.patchAll(ctx, tx, selected, p)
			return err
		})
	}
	if err != nil {
		return 0, 0, fault("patch records", err)
	}
	return matched, changed, nil
}

func (c *Catalog) patchAll(ctx context.Context, tx *sql.Tx, q *selection, p Patch) (matched, changed int64, err error) {
	lock := c.dialect.ForUpdate
	if lock != "" {
		lock += " OF r"
	}
	for after, more := "", true; more; {
		page, err := c.pageByID(ctx, tx, q, after, lock)
		if err != nil {
			return 0, 0, err
		}
		if matched += int64(len(page)); matched > MaxUpdate {
			return 0, 0, refused("limit", "more than %d records are selected; change them in parts", MaxUpdate)
		}
		for _, r := range page {
			did, err := p.apply(ctx, tx, r)
			if err != nil {
				return 0, 0, err
			}
			if did {
				changed++
			}
			after = r.ID
		}
		more = len(page) == eachPage
	}
	return matched, changed, nil
}

// apply patches one record and tells whether that changed it.
func (p Patch) apply(ctx context.Context, tx *sql.Tx, former Record) (bool, error) {
	r, err := p.patched(former)
	if err != nil {
		return false, fmt.Errorf("%s: %w", former.ID, err)
	}
	if reflect.DeepEqual(r, former) {
		return false, nil
	}
	tags, err := tagText(r.Tags)
	if err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE records SET name = $1, file = $2, tags = $3, data = $4 WHERE id = $5`, r.Name, r.File, tags, r.Data, r.ID)
	if err != nil {
		return false, fileTaken(err)
	}
	return true, index(ctx, tx, &former, r)
}

// patched returns the record as the patch makes it.
func (p Patch) patched(r Record) (Record, error) {
	if p.Name != nil {
		r.Name = storable(*p.Name)
	}
	if p.File != nil {
		r.File = storable(*p.File)
	}
	r.Tags = p.patchTags(r.Tags)
	if len(p.Set)+len(p.Unset) == 0 {
		return r, nil
	}
	data, err := patchData(r.Data, p.Set, p.Unset)
	if err != nil {
		return r, err
	}
	r.Data, err = storableData(data)
	return r, err
}

func (p Patch) patchTags(tags []string) []string {
	if p.Tags != nil {
		tags = *p.Tags
	}
	if p.Tags == nil && len(p.AddTags)+len(p.RemoveTags) == 0 {
		return tags
	}
	var kept []string
	seen := map[string]bool{}
	for _, tag := range p.RemoveTags {
		seen[fold(tag)] = true
	}
	for _, tag := range slices.Concat(tags, p.AddTags) {
		if !seen[fold(tag)] {
			kept = append(kept, storable(tag))
		}
		seen[fold(tag)] = true
	}
	return kept
}
