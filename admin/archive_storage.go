package admin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"deckle/archive"
	"deckle/catalog"
	"deckle/ingest"
	"deckle/origin"
)

// maxStorageExport bounds the archives that clients of image-storage-service ask for, pictures: they wait for them on the disk.
const maxStorageExport = 100_000

// exportArchive answers GET /export of that system: its pages are honoured, and pictures lie at their file names.
func (s *storageService) exportArchive(w http.ResponseWriter, r *http.Request) error {
	if s.Archives == nil {
		return &textRefusal{http.StatusNotFound, "Archives are not served here"}
	}
	q, err := s.queried(r)
	if err != nil {
		return err
	}
	values := r.URL.Query()
	limit, err := storageLimit(values)
	if err != nil {
		return err
	}
	values.Del("limit") // not that of a list
	if err := q.readPage(values, &storageList{}); err != nil {
		return err
	}
	file, err := archive.TempFile(s.Archives.Dir)
	if err != nil {
		return origin.StoreFault("export", err)
	}
	if err := s.fillArchive(r.Context(), file, q.Query, limit); err != nil {
		return errors.Join(err, file.Close())
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return errors.Join(origin.StoreFault("export", err), file.Close())
	}
	h := w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": newUUID() + ".zip"}))
	return sendArchive(w, file, size)
}

// sendArchive sends a file and closes it. The edge's answers are sent behind the handler, or else they would be in memory.
func sendArchive(w http.ResponseWriter, file *os.File, size int64) error {
	if edge, ok := w.(interface {
		SendBody(body io.ReadCloser, size int64)
	}); ok {
		edge.SendBody(file, size)
		return nil
	}
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	if _, err := io.Copy(w, file); err != nil {
		panic(http.ErrAbortHandler)
	}
	return file.Close()
}

// storageLimit is how many pictures are asked for.
func storageLimit(values url.Values) (int, error) {
	text := values.Get("limit")
	if text == "" || text == "undefined" || text == "0" {
		return maxStorageExport, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 0:
		return 0, badText(`Parameter "limit" is not a valid number`)
	case n > maxStorageExport:
		return 0, badText("Limit exceeds maximum allowed value")
	}
	return n, nil
}

// fillArchive writes up to limit of the pictures that q selects, page by page in the order of q.
func (s *storageService) fillArchive(ctx context.Context, to io.Writer, q catalog.Query, limit int) error {
	writer, err := archive.NewStorageWriter(to, s.Archives.Dir)
	if err != nil {
		return origin.StoreFault("export", err)
	}
	e := &export{Admin: s.Admin, Writer: writer}
	q.NoTotal = true
	for limit > 0 {
		q.Limit = min(limit, catalog.MaxPage)
		page, err := s.Images.Records.Find(ctx, q)
		if err != nil {
			return errors.Join(err, e.Abort())
		}
		for _, r := range page.Records {
			if err := e.add(ctx, r); err != nil {
				return errors.Join(err, e.Abort())
			}
		}
		limit -= len(page.Records)
		if q.After, q.Skip = page.Next, 0; page.Next == "" {
			break
		}
	}
	return e.Close()
}

// importArchive answers POST /import of that system: records are replaced by their file names, and the form's data is set in all.
func (s *storageService) importArchive(w http.ResponseWriter, r *http.Request) error {
	if s.Archives == nil {
		return &textRefusal{http.StatusNotFound, "Archives are not served here"}
	}
	kind, _, _ := mime.ParseMediaType(contentTypeOf(r))
	if kind != "multipart/form-data" {
		return badText("File not provided")
	}
	spooled, err := s.receiveArchive(w, r)
	if err != nil {
		if p := s.archiveProblem(err); p.Status == http.StatusBadRequest && p.Field == "archive" {
			return badText("File not provided")
		}
		return err
	}
	defer spooled.close()
	order := importOrder{existing: ingest.ReplaceExisting, owner: ownerOf(r.Context()), confined: ownerOf(r.Context()) != ""}
	if order.data, err = storageFields(spooled.fields); err != nil {
		return err
	}
	report, err := s.runImport(r.Context(), spooled, order, func(any) {})
	if err != nil {
		p := s.archiveProblem(err)
		return &textRefusal{p.Status, p.Detail}
	}
	if report.Failed > 0 {
		f := report.Failures[0]
		return &textRefusal{http.StatusUnprocessableEntity, strconv.Itoa(report.Failed) + " pictures were not imported, of which the first is " + strconv.Quote(f.Path) + ": " + f.Error}
	}
	return sayJSON(w, map[string]string{"file": newUUID() + ".zip"})
}

// storageFields is the data that a form says: data, or else json, or else all other texts.
func storageFields(fields map[string]string) (data map[string]json.RawMessage, err error) {
	switch kind, _, _ := mime.ParseMediaType(fields["\x00type"]); kind {
	case "", "application/zip", "application/x-zip-compressed", "application/octet-stream":
	default:
		return nil, badText("Mimetype " + bounded(kind) + " is not allowed")
	}
	for _, name := range []string{"data", "json"} {
		if text := fields[name]; strings.TrimSpace(text) != "" {
			data, wrong := commonData(text)
			if wrong != nil {
				return nil, badText(name + " is no JSON object")
			}
			return data, nil
		}
	}
	data = map[string]json.RawMessage{}
	for name, text := range fields {
		if name == "" || name == "\x00type" || name == "data" || name == "json" {
			continue
		}
		value, err := json.Marshal(text)
		if err != nil {
			return nil, err
		}
		data[name] = value
	}
	return data, nil
}

// newUUID draws a UUID of version 4 (RFC 9562 section 5.4).
func newUUID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
