package file

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"deckle/origin"
)

// change runs one change of the tree, alone among the processes that share the directory. The file calls in it are the
// point of the lock: they only touch names, and the slow fsyncs stay outside.
func (s *Store) change(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := flock(s.lock, unix.LOCK_EX); err != nil {
		return storeError("lock", err)
	}
	return errors.Join(f(), flock(s.lock, unix.LOCK_UN))
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// place gives an upload its name in the tree and returns that name. A private one is marked before it has it.
func (s *Store) place(temp, id string, replace, private bool) (target string, err error) {
	err = s.change(func() error {
		if err := s.makeParents(id); err != nil {
			return storeError("commit", err)
		}
		if target, err = s.target(id); err != nil {
			return storeError("commit", err)
		}
		if private {
			err = s.movePrivate(temp, target, id, replace)
		} else {
			err = s.move(temp, target, replace)
		}
		if errors.Is(err, fs.ErrExist) && !replace {
			return origin.ErrExists
		}
		if err != nil {
			return storeError("commit", err)
		}
		return nil
	})
	return target, err
}

// target returns the name of an id's file, there or not.
func (s *Store) target(id string) (string, error) {
	stat, err := s.root.Stat(id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return id, nil
	case err != nil:
		return "", err
	case stat.IsDir():
		return path.Join(id, ownName), nil
	}
	return id, nil
}

func (s *Store) move(temp, target string, replace bool) error {
	if replace {
		return s.root.Rename(temp, target)
	}
	// A rename would replace what is there; a link refuses to, whoever put it there and however late.
	if err := s.root.Link(temp, target); err != nil {
		return err
	}
	if err := s.root.Remove(temp); err != nil {
		return errors.Join(err, s.root.Remove(target))
	}
	return nil
}

// takeBack removes what a Commit placed and could not make durable, unless another upload has replaced it since.
func (s *Store) takeBack(f *os.File, target string) error {
	return s.change(func() error {
		placed, err := f.Stat()
		if err != nil {
			return err
		}
		if found, err := s.root.Stat(target); err == nil && os.SameFile(placed, found) {
			return s.root.Remove(target)
		}
		return nil
	})
}

// makeParents makes a directory of every segment above the last one of id.
func (s *Store) makeParents(id string) error {
	for i, c := range id {
		if c != '/' {
			continue
		}
		if err := s.makeDir(id[:i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) makeDir(dir string) error {
	err := s.root.Mkdir(dir, 0o755)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	stat, err := s.root.Stat(dir)
	if err == nil && stat.Mode().IsRegular() {
		return s.turnToDir(dir)
	}
	return err
}

// turnToDir makes the source `name`, so far a file, the directory name with the source within, so that ids can lie below it.
// Readers find the source at every moment: the directory is prepared aside and changes places with the file in one step.
func (s *Store) turnToDir(name string) error {
	aside := path.Join(tempDir, rand.Text())
	if err := s.root.Mkdir(aside, 0o755); err != nil {
		return err
	}
	if err := s.root.Link(name, path.Join(aside, ownName)); err != nil {
		return errors.Join(err, s.root.RemoveAll(aside))
	}
	// Before the exchange: else a power cut could leave the directory under the name and nothing in it. This fsync is under
	// the lock, once in the life of a source.
	err := s.syncDir(aside)
	if err == nil {
		err = s.exchange(aside, name)
	}
	// After an exchange aside is the file, one of its two names; without one it is the directory.
	return errors.Join(err, s.root.RemoveAll(aside))
}

// exchange swaps an entry of the directory of uploads with one of the tree.
func (s *Store) exchange(aside, name string) error {
	parent, err := s.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer func() { _ = parent.Close() }()
	err = unix.Renameat2(int(s.temp.Fd()), path.Base(aside), int(parent.Fd()), path.Base(name), unix.RENAME_EXCHANGE)
	if err != nil {
		return fmt.Errorf("exchange: %w", err)
	}
	return nil
}

// syncDirs makes the entries of dir and of all directories above it durable: another upload may have made one of them and
// not have come to its fsync yet.
func (s *Store) syncDirs(dir string) error {
	for {
		// A directory that is gone, or a file by now, holds no entry of ours: others came after the change.
		if err := s.syncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			return err
		}
		if dir == "." {
			return nil
		}
		dir = path.Dir(dir)
	}
}

func (s *Store) syncDir(dir string) error {
	f, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Delete removes a source, and the directories that it leaves empty.
func (s *Store) Delete(ctx context.Context, id string) error {
	// Whatever Stat does not answer, a directory or a pipe, is not a source and is not removed.
	if _, err := s.Stat(ctx, id); err != nil {
		if errors.Is(err, origin.ErrNotFound) {
			err = errors.Join(err, s.change(func() error { return s.unmarkAbsent(id) }))
		}
		return err
	}
	var target string
	err := s.change(func() (err error) {
		if target, err = s.target(id); err != nil {
			return readError(err)
		}
		if err := s.root.Remove(target); err != nil {
			return readError(err)
		}
		s.removeEmpty(path.Dir(target))
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.syncDirs(path.Dir(target)); err != nil {
		return storeError("delete", err)
	}
	return s.change(func() error { return s.unmarkAbsent(id) })
}

// removeEmpty removes dir and those above it as far as they are empty: the system refuses to remove one that is not. It
// leaves links alone that somebody made to other directories.
func (s *Store) removeEmpty(dir string) {
	for ; dir != "."; dir = path.Dir(dir) {
		if stat, err := s.root.Lstat(dir); err != nil || !stat.IsDir() {
			return
		}
		if err := s.root.Remove(dir); err != nil {
			return
		}
	}
}
