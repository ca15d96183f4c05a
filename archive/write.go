package archive

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Writer writes an archive as a stream. Records are kept in files of a directory until the pictures are written; in memory is what
// the index of a zip needs, about 300 bytes a picture. It is used by one goroutine.
type Writer struct {
	zip      *zip.Writer
	paths    paths
	data     *spool
	failures *spool
	keys     map[string]bool // at the top of data
	storage  bool
}

// maxColumns bounds the names in data that have columns of their own in spreadsheets; all are in data.jsonl.
const maxColumns = 256

// NewWriter begins an archive whose records wait in dir, where nothing is left of them, whatever happens. Close or Abort it.
func NewWriter(to io.Writer, dir string) (*Writer, error) {
	data, err := newSpool(dir)
	if err != nil {
		return nil, err
	}
	failures, err := newSpool(dir)
	if err != nil {
		return nil, errors.Join(err, data.close())
	}
	return &Writer{zip: zip.NewWriter(to), data: data, failures: failures, keys: map[string]bool{}}, nil
}

// NewStorageWriter begins an archive in the form of image-storage-service: pictures lie at their file names, records in one JSON
// array and in a sheet.
func NewStorageWriter(to io.Writer, dir string) (*Writer, error) {
	w, err := NewWriter(to, dir)
	if err == nil {
		w.storage = true
	}
	return w, err
}

// Create begins the entry of a picture's bytes, which ends with the next call of any method, and returns its path. ext is the
// extension for those without a file name.
func (w *Writer) Create(p Picture, ext string) (path string, to io.Writer, err error) {
	if w.storage {
		path = w.storagePath(p, ext)
	} else {
		path = w.paths.pathOf(p, ext)
	}
	to, err = w.entry(path, zip.Store, p.Updated) // pictures are compressed by themselves
	return path, to, err
}

// storagePath is where image-storage-service looks for a picture: at its very file name, as far as that is safe and free.
func (w *Writer) storagePath(p Picture, ext string) string {
	if checkName(p.File) == "" && p.File != StorageName && p.File != StorageSheet && w.paths.take(p.File) {
		return p.File
	}
	return w.paths.pathOf(p, ext)
}

func (w *Writer) entry(name string, method uint16, modified time.Time) (io.Writer, error) {
	header := &zip.FileHeader{Name: name, Method: method, Modified: modified.UTC()}
	if modified.Year() < 1980 || modified.Year() > 2107 { // what a zip can say
		header.Modified = time.Time{}
	}
	header.SetMode(0o644)
	to, err := w.zip.CreateHeader(header)
	if err != nil {
		return nil, fmt.Errorf("write archive: %w", err)
	}
	return to, nil
}

// Record adds what is known of a picture whose bytes are in the entry that its Path names.
func (w *Writer) Record(p Picture) error {
	w.noteKeys(p.Data)
	return w.data.add(p)
}

// Fail tells of a picture whose bytes are not in the archive, or not as they should be, and why.
func (w *Writer) Fail(p Picture, reason string) error { return w.failures.add(Failure{reason, p}) }

func (w *Writer) noteKeys(data json.RawMessage) {
	var top map[string]json.RawMessage
	if len(w.keys) >= maxColumns || json.Unmarshal(data, &top) != nil {
		return
	}
	for key := range top {
		if len(w.keys) < maxColumns {
			w.keys[key] = true
		}
	}
}

// Close writes the records and the index.
func (w *Writer) Close() (err error) {
	defer func() { err = errors.Join(err, w.Abort()) }()
	if w.storage {
		err = w.closeStorage()
	} else {
		err = w.closeOwn()
	}
	if err == nil && w.failures.lines > 0 {
		err = w.copyLines(ErrorsName, w.failures)
	}
	if err == nil {
		err = w.zip.Close()
	}
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}

func (w *Writer) closeOwn() error {
	if err := w.copyLines(DataName, w.data); err != nil {
		return err
	}
	to, err := w.entry(CSVName, zip.Deflate, time.Now())
	if err != nil {
		return err
	}
	return writeCSV(to, w.data, w.columns())
}

// columns are the names in data, in order.
func (w *Writer) columns() []string {
	columns := make([]string, 0, len(w.keys))
	for key := range w.keys {
		columns = append(columns, key)
	}
	slices.Sort(columns)
	return columns
}

func (w *Writer) copyLines(name string, from *spool) error {
	to, err := w.entry(name, zip.Deflate, time.Now())
	if err != nil {
		return err
	}
	return from.each(func(line []byte) error {
		_, err := to.Write(append(line, '\n'))
		return err
	})
}

// Abort gives back what an archive holds that is not to be written to its end. After Close it does nothing.
func (w *Writer) Abort() error { return errors.Join(w.data.close(), w.failures.close()) }

// spool is lines that wait in a file without a name.
type spool struct {
	file  *os.File
	to    *bufio.Writer
	lines int
}

func newSpool(dir string) (*spool, error) {
	file, err := TempFile(dir)
	if err != nil {
		return nil, err
	}
	return &spool{file: file, to: bufio.NewWriterSize(file, 64<<10)}, nil
}

// TempFile opens a file in dir that has no name, so that nothing is left of it when the process ends, however it does.
func TempFile(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, ".archive-*")
	if err == nil {
		err = os.Remove(file.Name())
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make room for an archive: %w", err)
	}
	return file, nil
}

func (s *spool) add(v any) error {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	s.lines++
	_, err := s.to.Write(line.Bytes())
	return err
}

// each reads the lines from the first on.
func (s *spool) each(do func(line []byte) error) error {
	if err := s.to.Flush(); err != nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return eachLine(s.file, do)
}

func (s *spool) pictures(do func(Picture) error) error {
	return s.each(func(line []byte) error {
		var p Picture
		if err := json.Unmarshal(line, &p); err != nil {
			return err
		}
		return do(p)
	})
}

func (s *spool) close() error {
	if err := s.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// maxLine bounds what is known of one picture, bytes.
const maxLine = 8 << 20

// eachLine calls do with each line that is not empty, without its end.
func eachLine(from io.Reader, do func([]byte) error) error {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(make([]byte, 64<<10), maxLine)
	for scanner.Scan() {
		if line := bytes.TrimSpace(scanner.Bytes()); len(line) > 0 {
			if err := do(line); err != nil {
				return err
			}
		}
	}
	return scanner.Err()
}
