package archive

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Limits bound what an archive may be. All are wanted.
type Limits struct {
	Entries      int   // files and folders in it
	Directory    int64 // bytes of its index, which is in memory several times over
	PictureBytes int64 // of one picture, unpacked
	TotalBytes   int64 // of all, unpacked
}

// DefaultLimits are the limits of an archive whose pictures have at most so many bytes.
func DefaultLimits(pictureBytes int64) Limits {
	return Limits{Entries: 500_000, Directory: 128 << 20, PictureBytes: pictureBytes, TotalBytes: 4 << 40}
}

const (
	// maxRatio is how many times as large an entry may get by unpacking, beyond ratioFree bytes: records reach 40, and deflate
	// can reach 1032 (RFC 1951).
	maxRatio  = 200
	ratioFree = 4 << 20
	// maxRecords bounds the entry that holds the records, unpacked, bytes.
	maxRecords = 16 << 30
)

// Kind tells who made an archive.
type Kind int

// The kinds.
const (
	Plain   Kind = iota // pictures alone
	Own                 // Deckle
	Storage             // image-storage-service
)

// Archive is one that was found within the limits. Methods are safe for concurrent use.
type Archive struct {
	Kind   Kind
	limits Limits
	files  []*zip.File // pictures, in the order of the index
	named  map[string]*zip.File
}

// Open reads the index of an archive and refuses it, before anything in it is read, when something in it is not as it should be:
// names that lead elsewhere, are no text or come twice, links and devices, encryption, entries that are larger than they may be,
// unpack to a suspicious size, or share their bytes with others. Errors of reading are r's; others are Refusals.
func Open(r io.ReaderAt, size int64, limits Limits) (*Archive, error) {
	index := &indexReader{from: r, limits: limits, next: -1}
	reader, err := zip.NewReader(index, size)
	switch {
	case index.err != nil:
		return nil, index.err
	case errors.Is(err, zip.ErrInsecurePath): // names are looked at below
	case err != nil:
		return nil, refused("it is no zip file, or is not whole")
	}
	index.done = true
	a := &Archive{limits: limits, named: make(map[string]*zip.File, len(reader.File))}
	var packed, unpacked uint64
	for _, f := range reader.File {
		if err := a.admit(f); err != nil {
			return nil, err
		}
		if f.CompressedSize64 > uint64(size) || f.UncompressedSize64 > 1<<60 {
			return nil, refusedEntry(f.Name, "it says that it is larger than the archive")
		}
		packed += f.CompressedSize64
		unpacked += f.UncompressedSize64
		if packed > uint64(size) {
			return nil, refused("its entries share bytes")
		}
		if unpacked > uint64(limits.TotalBytes) {
			return nil, refused("it unpacks to more than %d bytes", limits.TotalBytes)
		}
	}
	a.sort(reader.File)
	return a, a.checkPictures()
}

// admit looks at one entry of the index.
func (a *Archive) admit(f *zip.File) error {
	if problem := checkName(f.Name); problem != "" {
		return refusedEntry(f.Name, "%s", problem)
	}
	name := norm.NFC.String(f.Name)
	mode := f.Mode()
	folder := strings.HasSuffix(name, "/")
	switch {
	case a.named[name] != nil || a.named[strings.TrimSuffix(name, "/")] != nil:
		return refusedEntry(f.Name, "its name comes twice")
	case mode.Type() != 0 && (!folder || mode.Type() != fs.ModeDir):
		return refusedEntry(f.Name, "it is no file, but a link or a device")
	case folder && f.UncompressedSize64 > 0:
		return refusedEntry(f.Name, "it is a folder with bytes")
	case f.Flags&0x1 != 0:
		return refusedEntry(f.Name, "it is encrypted")
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return refusedEntry(f.Name, "it is packed in a way other than deflate")
	case f.UncompressedSize64 > ratioFree && f.UncompressedSize64/maxRatio > f.CompressedSize64:
		return refusedEntry(f.Name, "it unpacks to more than %d times its size", maxRatio)
	}
	a.named[name] = f
	return nil
}

// sort finds out who made the archive, and which of its entries are pictures.
func (a *Archive) sort(files []*zip.File) {
	switch {
	case a.named[DataName] != nil:
		a.Kind = Own
	case a.named[StorageName] != nil:
		a.Kind = Storage
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name, "/") && a.picture(f.Name) {
			a.files = append(a.files, f)
		}
	}
}

// picture tells the names of pictures from those of records, and of what systems leave in archives.
func (a *Archive) picture(name string) bool {
	switch {
	case a.Kind == Own:
		return strings.HasPrefix(name, FilesDir)
	case a.Kind == Storage:
		return name != StorageName && name != StorageSheet && name != ErrorsName
	case strings.HasPrefix(name, "__MACOSX/") || strings.EqualFold(path.Base(name), "thumbs.db"):
		return false
	}
	return !strings.HasPrefix(name, ".") && !strings.Contains(name, "/.")
}

// checkPictures bounds each entry by what it is.
func (a *Archive) checkPictures() error {
	for _, f := range a.files {
		if f.UncompressedSize64 > uint64(a.limits.PictureBytes) {
			return refusedEntry(f.Name, "a picture has at most %d bytes here", a.limits.PictureBytes)
		}
	}
	for _, name := range []string{DataName, StorageName} {
		if f := a.named[name]; f != nil && f.UncompressedSize64 > maxRecords {
			return refusedEntry(f.Name, "it is too large")
		}
	}
	return nil
}

// Len is about how many pictures there are: as many as have bytes.
func (a *Archive) Len() int { return len(a.files) }

// Pictures calls do with each picture, in the order in which they are told of, and stops at its first error. Of an archive of
// pictures alone nothing but Path and File is known.
func (a *Archive) Pictures(do func(Picture) error) error {
	switch a.Kind {
	case Own:
		return a.ownPictures(do)
	case Storage:
		return a.storagePictures(do)
	}
	for _, f := range a.files {
		if err := do(Picture{Path: f.Name, File: norm.NFC.String(f.Name)}); err != nil {
			return err
		}
	}
	return nil
}

func (a *Archive) ownPictures(do func(Picture) error) (err error) {
	records, err := a.Open(DataName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	n := 0
	var failed error
	err = eachLine(records, func(line []byte) error {
		n++
		var p Picture
		if json.Unmarshal(line, &p) != nil {
			failed = refusedEntry(DataName, "line %d is no record", n)
			return failed
		}
		failed = do(p)
		return failed
	})
	if err != nil && failed == nil {
		return refusedEntry(DataName, "it cannot be read behind line %d", n)
	}
	return err
}

// ErrNoEntry says that the archive has no entry of the name.
var ErrNoEntry = errors.New("archive: no such entry")

// Open opens an entry. What is read is never more than the entry said to have; when it is less, or other bytes, the end is an
// error that wraps ErrRefused. Whoever called closes it.
func (a *Archive) Open(name string) (io.ReadCloser, error) {
	f := a.named[norm.NFC.String(name)]
	if f == nil || strings.HasSuffix(name, "/") {
		return nil, ErrNoEntry
	}
	body, err := f.Open()
	if err != nil {
		return nil, refusedEntry(name, "it is damaged")
	}
	return &entryReader{body, name, int64(f.UncompressedSize64)}, nil
}

// entryReader holds an entry to what the index said of it.
type entryReader struct {
	io.ReadCloser
	name string
	left int64
}

func (e *entryReader) Read(to []byte) (int, error) {
	n, err := e.ReadCloser.Read(to)
	if e.left -= int64(n); e.left < 0 {
		return 0, refusedEntry(e.name, "it unpacks to more than it says")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", refusedEntry(e.name, "it is damaged"), err)
	}
	return n, err
}

// Close gives the entry back. What was wrong with it was the reader's to tell.
func (e *entryReader) Close() error {
	_ = e.ReadCloser.Close()
	return nil
}

// signature begins each entry of an index (APPNOTE 4.3.12).
var signature = []byte("PK\x01\x02")

// indexReader bounds what the index of a zip may be, while the standard library reads it into memory: no more entries are made than
// there are signatures in what was read.
type indexReader struct {
	from    io.ReaderAt
	limits  Limits
	done    bool
	next    int64 // where the last piece ended
	tail    []byte
	bytes   int64
	entries int
	err     error
}

// slack is what is read of an archive beside its index, bytes: the end of it, twice.
const slack = 256 << 10

func (r *indexReader) ReadAt(to []byte, at int64) (int, error) {
	if r.done {
		return r.from.ReadAt(to, at)
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.from.ReadAt(to, at)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
		return n, err
	}
	if at != r.next {
		r.tail = nil
	}
	r.next = at + int64(n)
	piece := append(r.tail, to[:n]...)
	r.entries += bytes.Count(piece, signature)
	r.tail = bytes.Clone(piece[max(0, len(piece)-len(signature)+1):])
	if r.bytes += int64(n); r.bytes > r.limits.Directory+slack {
		r.err = refused("its index has more than %d bytes", r.limits.Directory)
	} else if r.entries > r.limits.Entries {
		r.err = refused("it has more than %d entries", r.limits.Entries)
	}
	if r.err != nil {
		return 0, r.err
	}
	return n, err
}
