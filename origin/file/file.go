// Package file keeps originals as files under one directory, so that a folder of pictures dropped in by hand is served as it
// is.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"deckle/origin"
)

// Names that no id can have, since no segment of an id begins with a dot.
const (
	tempDir  = ".tmp"      // uploads under way, in the same filesystem so that they can be renamed into place
	lockName = ".tmp/lock" // held while the tree changes
	// ownName holds the source whose path is a directory because other ids lie below it.
	ownName = ".original"
	// privateDir has an entry for every source that is private.
	privateDir = ".private"
)

// litterAge is how old an abandoned upload is when it is swept; a younger one may be another process's.
const litterAge = time.Hour

// Store is a directory of originals. The source `a/b` is the file a/b, or a/b/.original where a/b is a directory. Only
// regular files are sources. Nothing outside the directory is reached, through symbolic links neither. Several processes may
// share a directory. It promises one disk's durability: what Commit acknowledged survives a crash and a power cut.
type Store struct {
	dir  string
	root *os.Root
	temp *os.File // the directory tempDir

	mu   sync.Mutex // one change of the tree at a time here; lock does the same among processes
	lock *os.File

	roomsMu sync.Mutex
	rooms   map[origin.Area]*Store // opened when they are first asked for
}

var _ origin.Store = (*Store)(nil)

// New opens the directory, makes it if need be, and sweeps what uploads of an hour ago and before left behind. Close it.
func New(dir string) (*Store, error) {
	// Path names files by it wherever the process goes later.
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open originals: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open originals: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open originals: %w", err)
	}
	s := &Store{dir: dir, root: root}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("open originals: %w", err), s.Close())
	}
	return s, nil
}

func (s *Store) prepare() (err error) {
	// Unfinished uploads are nobody else's to read.
	if err := s.root.Mkdir(tempDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if s.temp, err = s.root.Open(tempDir); err != nil {
		return err
	}
	if s.lock, err = s.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	return s.sweep(time.Now().Add(-litterAge))
}

// sweep removes what was last written before the given time from the directory of uploads.
func (s *Store) sweep(before time.Time) error {
	litter, err := fs.ReadDir(s.root.FS(), tempDir)
	if err != nil {
		return err
	}
	for _, entry := range litter {
		name := path.Join(tempDir, entry.Name())
		info, err := entry.Info()
		if name == lockName || err != nil || !info.ModTime().Before(before) {
			continue // whatever vanished meanwhile was not litter
		}
		if err := s.root.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

// Close gives the directory back. Opened objects stay readable.
func (s *Store) Close() error {
	err := s.root.Close()
	s.roomsMu.Lock()
	defer s.roomsMu.Unlock()
	for _, room := range s.rooms {
		err = errors.Join(err, room.Close())
	}
	for _, f := range []*os.File{s.temp, s.lock} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// Stat describes a source.
func (s *Store) Stat(ctx context.Context, id string) (origin.Info, error) {
	f, info, err := s.find(ctx, id)
	if err != nil {
		return origin.Info{}, err
	}
	return info, f.Close()
}

// Open reads a source. A file that is cut short by hand while it is read ends in io.ErrUnexpectedEOF.
func (s *Store) Open(ctx context.Context, id string, r origin.Range) (*origin.Object, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	f, info, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	offset, length := r.Within(info.Size)
	section := io.NewSectionReader(f, offset, length)
	return &origin.Object{Info: info, Body: &body{section: section, file: f, ctx: ctx, left: length}}, nil
}

// body reads part of a file until ctx ends.
type body struct {
	section *io.SectionReader
	file    *os.File
	ctx     context.Context
	left    int64 // bytes
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.section.Read(p)
	b.left -= int64(n)
	if errors.Is(err, io.EOF) && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (b *body) Close() error { return b.file.Close() }

// find opens the file of a source.
func (s *Store) find(ctx context.Context, id string) (*os.File, origin.Info, error) {
	if err := origin.CheckID(id); err != nil {
		return nil, origin.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return nil, origin.Info{}, err
	}
	f, stat, private, err := s.look(id)
	// A file that was replaced or removed between its opening and this look has another ctime, so a version that nobody was
	// told of. Whatever has the name now is the better answer.
	for try := 0; err == nil && unlinked(stat) && try < maxReopens; try++ {
		_ = f.Close()
		f, stat, private, err = s.look(id)
	}
	if err != nil {
		return nil, origin.Info{}, readError(err)
	}
	// After so many replacements nobody knows which of the files the mark was of.
	private = private || unlinked(stat)
	if !stat.Mode().IsRegular() {
		_ = f.Close()
		return nil, origin.Info{}, origin.ErrNotFound
	}
	return f, describe(stat, private), nil
}

// maxReopens bounds a race that is lost more than once only under constant replacement.
const maxReopens = 8

func unlinked(stat fs.FileInfo) bool {
	sys, ok := stat.Sys().(*syscall.Stat_t)
	return ok && sys.Nlink == 0
}

// openSource opens the file of an id, in the directory of that name if it is one.
func (s *Store) openSource(id string) (*os.File, fs.FileInfo, error) {
	f, stat, err := s.openFile(id)
	if err == nil && stat.IsDir() {
		_ = f.Close()
		f, stat, err = s.openFile(path.Join(id, ownName))
	}
	return f, stat, err
}

func (s *Store) openFile(name string) (*os.File, fs.FileInfo, error) {
	// Without O_NONBLOCK the opening of a named pipe would wait for a writer.
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	stat, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, stat, nil
}

// readError tells absence from trouble. What the root itself refuses, a link that leads out of it, has no errno.
func readError(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		if errors.Is(err, fs.ErrClosed) {
			return fmt.Errorf("read original: %w: %w", origin.ErrUnavailable, err)
		}
		return origin.ErrNotFound
	}
	switch errno {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP, syscall.ENXIO, syscall.ENAMETOOLONG:
		return origin.ErrNotFound
	}
	return fmt.Errorf("read original: %w: %w", origin.ErrUnavailable, err)
}

// describe makes the version of everything that a change of the bytes touches: a copy tool may keep size and mtime, but not
// ctime; a rename keeps all but the inode. The first id below a source moves it aside and gives it another version.
func describe(stat fs.FileInfo, private bool) origin.Info {
	facts := []string{
		strconv.FormatInt(stat.Size(), 10),
		strconv.FormatInt(stat.ModTime().UnixNano(), 10),
	}
	if sys, ok := stat.Sys().(*syscall.Stat_t); ok {
		facts = append(facts, strconv.FormatInt(sys.Ctim.Nano(), 10), strconv.FormatUint(sys.Ino, 10))
	}
	return origin.Info{
		Version:  origin.VersionOf(facts...),
		Size:     stat.Size(),
		Modified: time.Unix(stat.ModTime().Unix(), 0).UTC(),
		Private:  private,
	}
}
