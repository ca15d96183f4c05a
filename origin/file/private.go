package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"

	"deckle/origin"
)

// What is private is marked by a file in privateDir, named by the hash of the id, with the id in it for people. It is there before
// the bytes have their name, and goes when they have none or others, so that a crash at any moment leaves nothing private
// unmarked; a mark that is left without a source is removed with the next look at what a crash left. Extended attributes and modes
// would get lost in a backup, this does not.

// mark returns the name of the mark of an id.
func mark(id string) string {
	sum := sha256.Sum256([]byte(id))
	return path.Join(privateDir, hex.EncodeToString(sum[:]))
}

// look opens the file of a source, then looks for its mark, then at the file. If that has its name still, the mark was that of
// these very bytes: private ones lose theirs only after they have lost their name.
func (s *Store) look(id string) (f *os.File, stat fs.FileInfo, private bool, err error) {
	f, stat, err = s.openSource(id)
	if err != nil {
		return nil, nil, false, err
	}
	if private, err = s.marked(id); err == nil {
		stat, err = f.Stat()
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, false, err
	}
	return f, stat, private, nil
}

// marked tells whether there is a mark. An error that is no absence is one: nothing is public by mistake.
func (s *Store) marked(id string) (bool, error) {
	_, err := s.root.Lstat(mark(id))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// mark makes the mark of an id durable. The tree is locked, its fsyncs included: whoever removes marks must not come in between.
func (s *Store) mark(id string) error {
	switch marked, err := s.marked(id); {
	case err != nil:
		return err
	case marked: // and maybe not durable yet
		return s.syncDir(privateDir)
	}
	if err := s.root.Mkdir(privateDir, 0o700); err == nil {
		err = s.syncDir(".")
		if err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := s.root.OpenFile(mark(id), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(id + "\n") // that it is there counts, whole or not
	return errors.Join(err, f.Close(), s.syncDir(privateDir))
}

// unmark removes the mark of an id, if there is one. The tree is locked.
func (s *Store) unmark(id string) error {
	marked, err := s.marked(id)
	if err != nil || !marked {
		return err
	}
	return errors.Join(s.root.Remove(mark(id)), s.syncDir(privateDir))
}

// unmarkAbsent is unmark where the id has no source. The tree is locked.
func (s *Store) unmarkAbsent(id string) error {
	f, _, err := s.openSource(id)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(readError(err), origin.ErrNotFound) {
		return readError(err)
	}
	if err := s.unmark(id); err != nil {
		return storeError("delete", err)
	}
	return nil
}

// movePrivate is move, with the mark there before the bytes. The tree is locked.
func (s *Store) movePrivate(temp, target, id string, replace bool) error {
	marked, err := s.marked(id)
	if err != nil {
		return err
	}
	if _, err := s.root.Lstat(target); err == nil && !replace {
		return fs.ErrExist // before it is marked
	}
	if err := s.mark(id); err != nil {
		return err
	}
	err = s.move(temp, target, replace)
	if err != nil && !marked {
		err = errors.Join(err, s.unmark(id))
	}
	return err
}

// publish removes the mark that former bytes of an id may have left, now that f's have their name durably. Where others have it by
// now, the mark is theirs.
func (s *Store) publish(id string, f *os.File) (private bool, err error) {
	if marked, err := s.marked(id); err != nil || !marked {
		return false, err
	}
	err = s.change(func() error {
		placed, err := f.Stat()
		if err != nil {
			return err
		}
		target, err := s.target(id)
		if err != nil {
			return err
		}
		if found, err := s.root.Stat(target); err != nil || !os.SameFile(placed, found) {
			private, err = s.marked(id)
			return err
		}
		return s.unmark(id)
	})
	return private, err
}

// SetPrivate sets or removes the mark. The version stays what it was.
func (s *Store) SetPrivate(ctx context.Context, id string, private bool) (origin.Info, error) {
	if err := origin.CheckID(id); err != nil {
		return origin.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return origin.Info{}, err
	}
	err := s.change(func() error {
		f, stat, err := s.openSource(id)
		if err != nil {
			return readError(err)
		}
		_ = f.Close()
		if !stat.Mode().IsRegular() {
			return origin.ErrNotFound
		}
		change := s.unmark
		if private {
			change = s.mark
		}
		if err := change(id); err != nil {
			return storeError("set private", err)
		}
		return nil
	})
	if errors.Is(err, origin.ErrNotFound) {
		err = errors.Join(err, s.change(func() error { return s.unmarkAbsent(id) }))
	}
	if err != nil {
		return origin.Info{}, err
	}
	return s.Stat(ctx, id)
}
