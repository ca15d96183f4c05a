// Package disk is the durable cache tier in a directory of one node.
package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"deckle/cache"
)

// ErrFull says that an entry was not stored because the tier has no room until its sweep has made some.
var ErrFull = errors.New("disk: cache directory is full")

const (
	// tempDir is where files are written before they get their names; on the same file system, so that they can be renamed.
	tempDir = "tmp"
	// block is what files are taken to be rounded up to on disk, bytes.
	block = 4096
	// maxShare says that one entry may take a tenth of the tier: what stays free until a sweep begins (see sweepFrom).
	maxShare = 10
	// touchAfter is how old a file's time gets before a read renews it: often enough to tell used entries from unused ones,
	// seldom enough to cost nothing.
	touchAfter = time.Hour
	// attempts is how often a write meets a Purge or a sweep that removes the folder under it before it gives up.
	attempts = 5
)

// Tier stores each entry in a file of its own, <aa>/<source>/<variant> below its directory: cache.SourceName,
// cache.VariantName, and the first two digits of the former to keep folders small. It never touches anything outside of its
// directory, symbolic links included, and in it neither counts nor removes files whose names it did not give.
//
// A file is written under another name and renamed, so that readers see all of it or nothing. It is not synced: what a power
// cut tears fails its checksum and is made again, which costs less than a sync of every entry.
//
// A sweep keeps the tier below its limit by removing the entries that were not used for longest. When an entry was used is
// kept as its file's modification time, to the hour, so that the order survives a restart. One process at a time may use a
// directory.
type Tier struct {
	root  *os.Root
	limit int64
	used  usage
	write func(f *os.File, data []byte) error

	stop    context.CancelFunc
	full    chan struct{} // asks for a sweep; of capacity 1, because one that is pending serves all that ask
	sweeper sync.WaitGroup
	sweeps  atomic.Uint64
}

var _ cache.Tier = (*Tier)(nil)

// New returns a tier in dir, which is made if it is missing, for up to maxBytes of files. What an earlier process stored
// there is used at once, while it is still being counted; until then the tier takes its room to be free.
func New(dir string, maxBytes int64) (*Tier, error) {
	if maxBytes <= 0 {
		return nil, errors.New("disk: a tier needs room for at least one byte")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make cache directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open cache directory: %w", err)
	}
	t := &Tier{root: root, limit: maxBytes, write: writeAll, full: make(chan struct{}, 1)}
	if err := t.clearTemp(); err != nil {
		return nil, errors.Join(fmt.Errorf("clear cache directory: %w", err), root.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.stop = cancel
	t.askSweep() // counts what is there
	t.sweeper.Go(func() { t.sweepOnDemand(ctx) })
	return t, nil
}

// clearTemp removes what a crash left half written.
func (t *Tier) clearTemp() error {
	if err := t.root.RemoveAll(tempDir); err != nil {
		return err
	}
	return t.root.Mkdir(tempDir, 0o750)
}

// Close ends the sweep and waits for it. Calls that follow fail.
func (t *Tier) Close() error {
	t.stop()
	t.sweeper.Wait()
	return t.root.Close()
}

// Stats are figures of a tier at one moment.
type Stats struct {
	Bytes  int64  // of files, each rounded up to blocks of 4 KiB; what is there at the start, after the first sweep only
	Limit  int64  // bytes
	Sweeps uint64 // since the start
}

// Stats returns the tier's figures.
func (t *Tier) Stats() Stats {
	return Stats{Bytes: t.used.taken(), Limit: t.limit, Sweeps: t.sweeps.Load()}
}

func folder(source string) string {
	name := cache.SourceName(source)
	return path.Join(name[:2], name)
}

func file(k cache.Key) string { return path.Join(folder(k.Source), cache.VariantName(k)) }

func onDisk(length int64) int64 { return (length + block - 1) / block * block }

// maxEntry is the size of the largest file, bytes.
func (t *Tier) maxEntry() int64 { return t.limit / maxShare }

// Get returns the entry for k, cache.ErrMiss or cache.ErrCorrupt.
func (t *Tier) Get(ctx context.Context, k cache.Key) (*cache.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name := file(k)
	data, err := t.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cache.ErrMiss
	}
	if err != nil && !errors.Is(err, cache.ErrCorrupt) {
		return nil, fmt.Errorf("read entry: %w", err)
	}
	var e *cache.Entry
	if err == nil {
		e, err = cache.Decode(k, data)
	}
	if err != nil {
		return nil, errors.Join(err, t.remove(name))
	}
	return e, nil
}

func (t *Tier) read(name string) ([]byte, error) {
	f, err := t.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > t.maxEntry() {
		return nil, fmt.Errorf("%w: no file that was stored here", cache.ErrCorrupt)
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("%w: %w", cache.ErrCorrupt, err)
	}
	if now := time.Now(); now.Sub(info.ModTime()) > touchAfter {
		_ = t.root.Chtimes(name, now, now) // the entry is swept too early, at worst
	}
	return data, nil
}

// Set stores e under k, or answers cache.ErrTooLarge for an entry of more than a tenth of the tier, ErrFull, or what the
// file system says; then nothing of it is left.
func (t *Tier) Set(ctx context.Context, k cache.Key, e *cache.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if int64(len(e.Body)) > t.maxEntry() { // before it is copied
		return cache.ErrTooLarge
	}
	data := cache.Encode(k, e)
	size := onDisk(int64(len(data)))
	if size > t.maxEntry() {
		return cache.ErrTooLarge
	}
	taken, ok := t.used.reserve(size, t.limit)
	if taken > t.sweepAbove() {
		t.askSweep()
	}
	if !ok {
		return ErrFull
	}
	replaced, err := t.store(file(k), data)
	t.used.settle(size, err == nil)
	if err != nil {
		return fmt.Errorf("store entry: %w", err)
	}
	t.used.remove(replaced)
	return nil
}

// store writes data to a temporary file and renames it. It returns the size of the file that made way.
func (t *Tier) store(name string, data []byte) (replaced int64, err error) {
	temp := path.Join(tempDir, rand.Text())
	if err := t.writeTemp(temp, data); err != nil {
		return 0, errors.Join(err, t.removeTemp(temp))
	}
	replaced, err = t.rename(temp, name)
	if err != nil {
		return 0, errors.Join(err, t.removeTemp(temp))
	}
	return replaced, nil
}

func (t *Tier) writeTemp(temp string, data []byte) error {
	f, err := t.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	return errors.Join(t.write(f, data), f.Close())
}

func writeAll(f *os.File, data []byte) error {
	_, err := f.Write(data)
	return err
}

func (t *Tier) removeTemp(temp string) error {
	if err := t.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// rename makes the folder each time it turns out to be missing, because a Purge or a sweep may remove it in between.
func (t *Tier) rename(temp, name string) (replaced int64, err error) {
	for range attempts {
		if info, err := t.root.Lstat(name); err == nil {
			replaced = onDisk(info.Size())
		}
		err = t.root.Rename(temp, name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return replaced, err
		}
		if err := t.root.MkdirAll(path.Dir(name), 0o750); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	return 0, err
}

// remove deletes one entry's file; one that is gone already is no fault.
func (t *Tier) remove(name string) error {
	info, err := t.root.Lstat(name)
	if err == nil {
		err = t.root.Remove(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		t.used.remove(onDisk(info.Size()))
	}
	return err
}
