package admin

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"deckle/catalog"
	"deckle/ingest"
	"deckle/origin"
	"deckle/proxy"
)

// Of a body that was refused this much is read, so that its client reads the answer and not a reset.
const (
	mostDiscarded = 16 << 20 // bytes
	discardTime   = 2 * time.Second
)

// putImage answers POST /images.
func (a *Admin) putImage(w http.ResponseWriter, r *http.Request) {
	record, created, err := a.deposit(w, r, ourWords)
	if err != nil {
		a.refuseProblem(w, a.imageProblem("upload", "id", err))
		return
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	answer(w, status, a.imageOf(record))
}

// deposit takes the picture of a request in. After an error the rest of the body is read for a while.
func (a *Admin) deposit(w http.ResponseWriter, r *http.Request, words formWords) (record catalog.Record, created bool, err error) {
	control := http.NewResponseController(w)
	defer func() {
		if err != nil {
			_ = control.SetReadDeadline(time.Now().Add(discardTime))
			_, _ = io.CopyN(io.Discard, r.Body, mostDiscarded) // for the client's sake
		}
		_ = control.SetReadDeadline(time.Time{})
	}()
	query, wrong := parsedQuery(r)
	if wrong != nil {
		return record, false, wrong
	}
	upload, err := newUpload(contentTypeOf(r), query, proxy.Incoming(r.Body, control), words)
	if err != nil {
		return record, false, err
	}
	owner := ownerOf(r.Context())
	return a.Images.Deposits.Deposit(r.Context(), ingest.Deposit{
		Body: upload, Client: owner, Describe: func() (ingest.Description, error) { return upload.describe(owner) },
	})
}

// imageProblem is problemOf for pictures of the library.
func (a *Admin) imageProblem(operation, field string, err error) *problem {
	var (
		own   *problem
		query *catalog.QueryError
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &query):
		return fieldProblem(query.Field, query.Problem)
	case errors.Is(err, catalog.ErrSlow):
		return newProblem(http.StatusServiceUnavailable, "", "The query takes too long. Narrow it by tag, label, owner, file, name, ids or time.")
	case errors.Is(err, catalog.ErrData):
		return newProblem(http.StatusBadRequest, "data", sentence(strings.TrimPrefix(behind(err, catalog.ErrData), "Filter: ")))
	case errors.Is(err, catalog.ErrPatch):
		return newProblem(http.StatusBadRequest, "body", behind(err, catalog.ErrPatch))
	case errors.Is(err, ingest.ErrPolicy):
		return newProblem(http.StatusBadRequest, "", behind(err, ingest.ErrPolicy))
	case errors.Is(err, ingest.ErrExists), errors.Is(err, origin.ErrExists), errors.Is(err, catalog.ErrFile):
		return newProblem(http.StatusConflict, field, "The id or the file is that of another picture.")
	}
	return a.problemOf(operation, field, err)
}

// behind is what an error of our own says after its sentinel.
func behind(err, sentinel error) string {
	_, said, found := strings.Cut(err.Error(), sentinel.Error()+": ")
	if !found {
		said = "it cannot be done so"
	}
	return sentence(said)
}

// visible returns a picture that the caller may look at, or else ErrNotFound, as for one that is not there.
func (a *Admin) visible(ctx context.Context, id string) (catalog.Record, error) {
	r, err := a.Images.Records.Record(ctx, id)
	if owner := ownerOf(ctx); err == nil && owner != "" && owner != r.Owner && r.Private {
		err = catalog.ErrNotFound
	}
	return r, err
}

// owned returns a picture that the caller may change, or else ErrNotFound.
func (a *Admin) owned(ctx context.Context, id string) (catalog.Record, error) {
	r, err := a.Images.Records.Record(ctx, id)
	if owner := ownerOf(ctx); err == nil && owner != "" && owner != r.Owner {
		err = catalog.ErrNotFound
	}
	return r, err
}

// imageFile answers GET /images/{image}/file: the stored bytes.
func (a *Admin) imageFile(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("part") != "file" {
		refuse(w, http.StatusNotFound, "There is nothing of that name below a picture.")
		return
	}
	record, err := a.visible(r.Context(), r.PathValue("image"))
	if err == nil {
		err = a.sendFile(w, r, record)
	}
	if err != nil {
		a.refuseProblem(w, a.imageProblem("file", "image", err))
	}
}

// sendFile writes the stored bytes of a picture. After an error nothing has been written.
func (a *Admin) sendFile(w http.ResponseWriter, r *http.Request, record catalog.Record) error {
	object, err := a.Images.Files.Open(r.Context(), record.ID, origin.Range{})
	if err != nil {
		return err
	}
	defer func() { _ = object.Body.Close() }() // it was read
	h := w.Header()
	mediaType := "application/octet-stream"
	if f, known := formatNamed(record.Format); known {
		mediaType = f.MediaType()
	}
	h.Set("Content-Type", mediaType)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": fileNameOf(record)}))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", `"`+object.Version+`"`)
	if r.Header.Get("If-None-Match") == h.Get("ETag") {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if object.Size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(object.Size, 10))
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{object.Body}, make([]byte, copyBytes)); err != nil {
			panic(http.ErrAbortHandler) // the length was promised: a short answer must not look whole
		}
	}
	return nil
}

// copyBytes is what is held of a file on its way out.
const copyBytes = 64 << 10

// fileNameOf is what a client is to call the file.
func fileNameOf(r catalog.Record) string {
	if r.File != "" {
		return path.Base(r.File)
	}
	name := path.Base(r.ID)
	if f, known := formatNamed(r.Format); known && f.Ext() != "" {
		name += "." + f.Ext()
	}
	return name
}
