// Package archive owns the form of archives: zip files that hold pictures and what is known of them, written as a stream and read
// within bounds, whoever made them.
//
// An archive of ours holds
//
//	files/...     the pictures' bytes, stored as they are, by owner and file name
//	data.jsonl    one Picture a line: everything that is known of each
//	data.csv      the same for spreadsheets, which cannot be read back
//	errors.jsonl  pictures whose bytes could not be had, with all that is known of them; not there when there are none
//
// It is a zip64 where it needs to be. Archives of image-storage-service, which have mongodb_data.json, and zip files of pictures
// alone are read too.
package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The names of entries.
const (
	FilesDir   = "files/"
	DataName   = "data.jsonl"
	CSVName    = "data.csv"
	ErrorsName = "errors.jsonl"
	// StorageName and StorageSheet are what archives of image-storage-service keep records in.
	StorageName  = "mongodb_data.json"
	StorageSheet = "mongodb_data.xlsx"
)

// ErrRefused is what an archive is refused with; the error is a Refusal.
var ErrRefused = errors.New("archive: refused")

// Refusal says what is wrong with an archive. Its texts may be shown to whoever brought it.
type Refusal struct {
	Entry   string // quoted, and cut; empty for the archive as a whole
	Problem string
}

func (r *Refusal) Error() string {
	if r.Entry == "" {
		return fmt.Sprintf("%v: %s", ErrRefused, r.Problem)
	}
	return fmt.Sprintf("%v: %s: %s", ErrRefused, r.Entry, r.Problem)
}

// Unwrap returns ErrRefused.
func (r *Refusal) Unwrap() error { return ErrRefused }

func refused(problem string, args ...any) error {
	return &Refusal{Problem: fmt.Sprintf(problem, args...)}
}

func refusedEntry(name, problem string, args ...any) error {
	const most = 80
	if len(name) > most {
		name = name[:most] + "..."
	}
	return &Refusal{Entry: fmt.Sprintf("%+q", name), Problem: fmt.Sprintf(problem, args...)}
}

// Picture is one picture of an archive: a line of data.jsonl. Times are to the millisecond.
type Picture struct {
	Path string `json:"path,omitempty"` // the entry that holds its bytes

	ID          string          `json:"id,omitempty"` // empty where it has yet to get one
	File        string          `json:"file,omitempty"`
	Time        time.Time       `json:"time,omitzero"`
	Name        string          `json:"name,omitempty"`
	Tags        []string        `json:"tags,omitempty"`
	Labels      []Label         `json:"labels,omitempty"`
	Owner       string          `json:"owner,omitempty"`
	Private     bool            `json:"private"`
	Data        json.RawMessage `json:"data,omitempty"` // a JSON object
	Created     time.Time       `json:"created,omitzero"`
	Updated     time.Time       `json:"updated,omitzero"`
	SHA256      string          `json:"sha256,omitempty"` // of the bytes, lower-case hexadecimal
	MD5         string          `json:"md5,omitempty"`    // likewise
	Bytes       int64           `json:"bytes,omitempty"`
	Format      string          `json:"format,omitempty"`
	Width       int             `json:"width,omitempty"`  // pixels, upright
	Height      int             `json:"height,omitempty"` // likewise
	Placeholder string          `json:"placeholder,omitempty"`
	Version     string          `json:"version,omitempty"` // in the store that it came from
}

// Label is something that was seen in a picture.
type Label struct {
	Name       string  `json:"name"`
	Category   string  `json:"category,omitempty"`
	Confidence float64 `json:"confidence"` // percent
	Source     string  `json:"source,omitempty"`
}

// Failure is a line of errors.jsonl.
type Failure struct {
	Error   string  `json:"error"`
	Picture Picture `json:"picture"`
}
