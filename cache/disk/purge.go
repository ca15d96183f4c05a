package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"deckle/cache"
)

var (
	_ cache.Sweeper = (*Tier)(nil)
	_ cache.Keeper  = (*Tier)(nil)
)

// marksFile holds what Keep was given. A sweep of what is too old passes it over: it has no entry's name.
const marksFile = "marks"

// Purge removes the files of a source.
func (t *Tier) Purge(ctx context.Context, source string) error {
	_, err := t.removeFolder(ctx, folder(source))
	return err
}

// removeFolder removes the entries of a source by the name of its folder, and returns how many there were.
func (t *Tier) removeFolder(ctx context.Context, name string) (removed int, err error) {
	entries, err := t.list(name)
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		if err := t.remove(path.Join(name, entry)); err != nil {
			return removed, fmt.Errorf("remove entry: %w", err)
		}
		removed++
	}
	_ = t.root.Remove(name) // stays when something was stored meanwhile
	return removed, nil
}

// list returns what in a folder has the name of a source's folder or of an entry; nothing when there is no such folder.
func (t *Tier) list(name string) (found []string, err error) {
	entries, err := fs.ReadDir(t.root.FS(), name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list entries: %w", err)
	}
	for _, entry := range entries {
		if cache.IsName(entry.Name()) {
			found = append(found, entry.Name())
		}
	}
	return found, nil
}

// Sweep walks the directory. One source is found by its name; for the others the beginning of one entry of each source is read.
func (t *Tier) Sweep(ctx context.Context, s cache.Scope) (removed int, err error) {
	if source, one := s.One(); one {
		return t.removeFolder(ctx, folder(source))
	}
	for i := range 256 {
		top := hexByte(i)
		sources, err := t.list(top)
		if err != nil {
			return removed, err
		}
		for _, source := range sources {
			n, err := t.sweepFolder(ctx, path.Join(top, source), s)
			removed += n
			if err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
}

// sweepFolder removes a source's entries if it is within s. A folder none of whose entries tells its source holds nothing that
// would ever be served, and goes.
func (t *Tier) sweepFolder(ctx context.Context, name string, s cache.Scope) (removed int, err error) {
	entries, err := t.list(name)
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	for _, entry := range entries {
		if s.All {
			break
		}
		source, known, err := t.sourceIn(path.Join(name, entry))
		if err != nil {
			return 0, fmt.Errorf("read entry: %w", err)
		}
		if known && folder(source) == name {
			if s.Covers(source) {
				break
			}
			return 0, nil
		}
	}
	return t.removeFolder(ctx, name)
}

// sourceIn reads whose entry a file is. One that is gone, or no file, is nobody's.
func (t *Tier) sourceIn(name string) (source string, known bool, err error) {
	f, err := t.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer func() { _ = f.Close() }() // only read
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", false, err
	}
	head := make([]byte, cache.SourceInBytes)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", false, err
	}
	source, known = cache.SourceIn(head[:n])
	return source, known, nil
}

// Keep stores text in a file of its own, renamed into place.
func (t *Tier) Keep(ctx context.Context, text []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	temp := path.Join(tempDir, marksFile)
	if err := t.root.WriteFile(temp, text, 0o640); err != nil {
		return err
	}
	return t.root.Rename(temp, marksFile)
}

// Kept returns what Keep stored.
func (t *Tier) Kept(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	text, err := t.root.ReadFile(marksFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return text, err
}
