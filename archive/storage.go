package archive

import (
	"archive/zip"
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
)

// document is a record as image-storage-service keeps it, in either of the forms that MongoDB exports.
type document struct {
	ID   mongoID         `json:"_id"`
	File string          `json:"file"`
	Time mongoTime       `json:"time"`
	Data json.RawMessage `json:"data,omitempty"`
	User string          `json:"userId,omitempty"`
}

// mongoID is "5f..." or {"$oid": "5f..."}.
type mongoID string

// UnmarshalJSON reads both forms.
func (id *mongoID) UnmarshalJSON(text []byte) error {
	var extended struct {
		OID string `json:"$oid"`
	}
	if json.Unmarshal(text, &extended) == nil {
		*id = mongoID(extended.OID)
		return nil
	}
	return json.Unmarshal(text, (*string)(id))
}

// mongoTime is "2026-...Z" or {"$date": ...}; null, and what is no time, is zero.
type mongoTime struct{ time.Time }

// UnmarshalJSON reads all forms.
func (t *mongoTime) UnmarshalJSON(text []byte) error {
	var extended struct {
		Date json.RawMessage `json:"$date"`
	}
	if json.Unmarshal(text, &extended) == nil && len(extended.Date) > 0 {
		text = extended.Date
	}
	var long struct {
		Number string `json:"$numberLong"`
	}
	if json.Unmarshal(text, &long) == nil && long.Number != "" {
		text = []byte(long.Number)
	}
	var ms int64
	if json.Unmarshal(text, &ms) == nil && len(text) > 0 && text[0] != 'n' {
		t.Time = time.UnixMilli(ms).UTC()
		return nil
	}
	var said string
	if json.Unmarshal(text, &said) == nil {
		if when, err := time.Parse(time.RFC3339Nano, said); err == nil {
			t.Time = when.UTC()
		}
	}
	return nil
}

// MarshalJSON writes it as that system does.
func (t mongoTime) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(csvTime(t.Time))
}

// storagePictures reads the JSON array one document at a time.
func (a *Archive) storagePictures(do func(Picture) error) (err error) {
	records, err := a.Open(StorageName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	limit := &documentLimit{from: records, most: maxLine}
	decoder := json.NewDecoder(limit)
	bad := func(n int) error { return refusedEntry(StorageName, "document %d is none", n) }
	if first, err := decoder.Token(); err != nil || first != json.Delim('[') {
		return refusedEntry(StorageName, "it is no array")
	}
	for n := 1; decoder.More(); n++ {
		var d document
		limit.most = decoder.InputOffset() + maxLine
		if decoder.Decode(&d) != nil {
			return bad(n)
		}
		if len(d.Data) > 0 && d.Data[0] != '{' {
			d.Data = nil
		}
		file := strings.TrimPrefix(strings.TrimPrefix(d.File, "./"), "/")
		err := do(Picture{Path: file, ID: string(d.ID), File: file, Time: d.Time.Truncate(time.Millisecond), Data: d.Data, Owner: d.User})
		if err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return refusedEntry(StorageName, "it is not whole")
	}
	return nil
}

// documentLimit bounds how far a decoder reads for one document, which it holds in memory.
type documentLimit struct {
	from       io.Reader
	read, most int64
}

func (l *documentLimit) Read(to []byte) (int, error) {
	if l.read >= l.most {
		return 0, refusedEntry(StorageName, "a document has more than %d bytes", maxLine)
	}
	n, err := l.from.Read(to[:min(int64(len(to)), l.most-l.read)])
	l.read += int64(n)
	return n, err
}

// closeStorage writes the array and the sheet.
func (w *Writer) closeStorage() error {
	entry, err := w.entry(StorageName, zip.Deflate, time.Now())
	if err != nil {
		return err
	}
	to := bufio.NewWriter(entry)
	before := "["
	err = w.data.pictures(func(p Picture) error {
		text, err := json.Marshal(document{mongoID(p.ID), p.Path, mongoTime{p.Time}, p.Data, p.Owner})
		if err != nil {
			return err
		}
		_, _ = to.WriteString(before) // Flush tells of errors
		_, _ = to.Write(text)
		before = ",\n"
		return nil
	})
	if err != nil {
		return err
	}
	if before == "[" {
		_, _ = to.WriteString(before)
	}
	_, _ = to.WriteString("]\n")
	if err := to.Flush(); err != nil {
		return err
	}
	sheet, err := w.entry(StorageSheet, zip.Store, time.Now()) // it is a zip itself
	if err != nil {
		return err
	}
	return writeSheet(sheet, w.data, w.columns())
}
