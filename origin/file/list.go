package file

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"

	"deckle/origin"
)

var _ origin.Walker = (*Store)(nil)

// Walk reads the directories one at a time; the names in one are in memory.
func (s *Store) Walk(ctx context.Context, do func(id string) error) error {
	var failed error // of do, which is told as it is
	err := fs.WalkDir(s.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && name != ".":
			return nil // gone meanwhile
		case err != nil:
			return err
		case ctx.Err() != nil:
			failed = ctx.Err()
			return failed
		case entry.IsDir() && name != "." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir():
			return nil
		case entry.Name() == ownName:
			name = path.Dir(name)
		}
		if origin.CheckID(name) == nil { // others are no sources
			failed = do(name)
		}
		return failed
	})
	if err != nil && failed == nil {
		return origin.StoreFault("list originals", err)
	}
	return failed
}
