package file

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"deckle/origin"
)

// staged is an upload in the directory of uploads.
type staged struct {
	store *Store
	file  *os.File
	name  string // in the store's root
	ended bool   // committed or aborted

	private bool
}

// Stage opens room for a new source beside the others.
func (s *Store) Stage(ctx context.Context) (origin.Staged, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name := path.Join(tempDir, rand.Text())
	f, err := s.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, storeError("stage", err)
	}
	return &staged{store: s, file: f, name: name}, nil
}

func (u *staged) Write(p []byte) (int, error) {
	n, err := u.file.Write(p)
	if err != nil {
		return n, storeError("write upload", err)
	}
	return n, nil
}

func (u *staged) Path() string {
	return filepath.Join(u.store.dir, filepath.FromSlash(u.name))
}

func (u *staged) SetPrivate(private bool) { u.private = private }

// Commit makes the upload a source. When only the last step fails, the directory's fsync, a new source is taken back; of a
// replaced one the new bytes stay, whole, and whether they survive a power cut is unknown.
func (u *staged) Commit(ctx context.Context, id string, replace bool) (origin.Info, error) {
	if err := origin.CheckID(id); err != nil {
		return origin.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return origin.Info{}, err
	}
	// The kernel stamps files once per tick only. Two uploads of one size within a tick, the second on the inode that the
	// first one's replacement freed, would have one version; the clock's nanoseconds tell them apart.
	now := time.Now()
	if err := u.store.root.Chtimes(u.name, now, now); err != nil {
		return origin.Info{}, storeError("commit", err)
	}
	// Before the rename: else a power cut could leave the name with none of its bytes.
	if err := u.file.Sync(); err != nil {
		return origin.Info{}, storeError("commit", err)
	}
	target, err := u.store.place(u.name, id, replace, u.private)
	if err != nil {
		return origin.Info{}, err
	}
	// The entry of the new name is the directory's to keep, and a directory made for it that of the one above.
	if err := u.store.syncDirs(path.Dir(target)); err != nil {
		if !replace {
			err = errors.Join(err, u.store.takeBack(u.file, target))
		}
		return origin.Info{}, storeError("commit", err)
	}
	private := u.private
	if !private {
		// Only now that the former bytes, which may have been private, cannot come back with a power cut.
		if private, err = u.store.publish(id, u.file); err != nil {
			return origin.Info{}, storeError("commit", err)
		}
	}
	u.ended = true
	// The open file is the one that was committed, even if another upload has replaced it by now.
	stat, err := u.file.Stat()
	if err != nil {
		return origin.Info{}, errors.Join(storeError("commit", err), u.file.Close())
	}
	_ = u.file.Close() // nothing unwritten is left to lose
	return describe(stat, private), nil
}

func (u *staged) Abort() error {
	if u.ended {
		return nil
	}
	u.ended = true
	err := u.store.root.Remove(u.name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // a Commit that failed after the rename
	}
	if err = errors.Join(err, u.file.Close()); err != nil {
		return storeError("abort", err)
	}
	return nil
}

// storeError marks what went wrong on the disk.
func storeError(verb string, err error) error { return origin.StoreFault(verb+" original", err) }
