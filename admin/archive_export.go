package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"deckle/archive"
	"deckle/catalog"
	"deckle/ingest"
	"deckle/origin"
)

// exportTries is how often a picture's bytes are asked for that break off.
const exportTries = 3

// export is an archive being written.
type export struct {
	*Admin
	*archive.Writer
	done, failed int
}

// exportArchive answers GET /export.
func (a *Admin) exportArchive(w http.ResponseWriter, r *http.Request) {
	q, wrong := exported(r)
	if wrong != nil {
		a.refuseProblem(w, wrong)
		return
	}
	out := &patient{w: w, control: http.NewResponseController(w)}
	writer, err := archive.NewWriter(out, a.Archives.Dir)
	if err != nil {
		a.refuseProblem(w, a.problemOf("export", "", origin.StoreFault("export", err)))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", `attachment; filename="deckle-`+time.Now().UTC().Format("20060102-150405")+`.zip"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Trailer", "Deckle-Pictures, Deckle-Failed")
	e := &export{Admin: a, Writer: writer}
	err = e.all(r.Context(), q)
	if err == nil {
		h.Set("Deckle-Pictures", strconv.Itoa(e.done))
		h.Set("Deckle-Failed", strconv.Itoa(e.failed))
		return
	}
	if out.begun {
		a.Log.Warn("an export was broken off", slog.Any("cause", err))
		panic(http.ErrAbortHandler) // half of an archive must not look whole
	}
	for _, name := range []string{"Content-Disposition", "Trailer", "Content-Type"} {
		h.Del(name)
	}
	a.refuseProblem(w, a.imageProblem("export", "filter", err))
}

// exported is the query of a request for an archive.
func exported(r *http.Request) (catalog.Query, *problem) {
	values, wrong := parsedQuery(r)
	if wrong != nil {
		return catalog.Query{}, wrong
	}
	for _, n := range queryNames {
		if n.pages && values.Has(n.name) {
			return catalog.Query{}, fieldProblem(n.name, "it belongs to a list; an export is of all that are meant")
		}
	}
	q, wrong := readable(r.Context(), values)
	if wrong != nil {
		return catalog.Query{}, wrong
	}
	return q.whole(), nil
}

// all writes the pictures that q selects, and ends the archive.
func (e *export) all(ctx context.Context, q catalog.Query) error {
	err := e.Images.Records.Each(ctx, q, func(r catalog.Record) error { return e.add(ctx, r) })
	if err != nil {
		return errors.Join(err, e.Abort())
	}
	return e.Close()
}

// add writes one picture. What cannot be had of it is noted in the archive; the error is that of the archive itself.
func (e *export) add(ctx context.Context, r catalog.Record) error {
	p := archived(r)
	ext := ""
	if f, known := formatNamed(r.Format); known {
		ext = f.Ext()
	}
	object, err := e.Images.Files.Open(ctx, r.ID, origin.Range{})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return e.note(p, err)
	}
	var to io.Writer
	if p.Path, to, err = e.Create(p, ext); err != nil {
		return errors.Join(err, object.Body.Close())
	}
	sum, err := e.copy(ctx, r.ID, object, to)
	var broken *brokenArchive
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &broken):
		return broken.error
	case err != nil:
		return e.note(p, err)
	case sum != r.SHA256:
		return e.reread(ctx, p, sum)
	}
	e.done++
	return e.Record(p)
}

// reread looks at the record of a picture whose bytes were others: it may have been replaced meanwhile.
func (e *export) reread(ctx context.Context, p archive.Picture, sum string) error {
	r, err := e.Images.Records.Record(ctx, p.ID)
	if err != nil {
		return e.note(p, err)
	}
	if r.SHA256 != sum {
		return e.note(p, ingest.ErrHash)
	}
	path := p.Path
	p = archived(r)
	p.Path = path
	e.done++
	return e.Record(p)
}

func (e *export) note(p archive.Picture, err error) error {
	reason := "its bytes are not those of its record"
	if !errors.Is(err, ingest.ErrHash) {
		reason = e.imageProblem("export", "id", err).Detail
	}
	e.failed++
	return e.Fail(p, reason)
}

// brokenArchive is an error of the archive, and not of a picture.
type brokenArchive struct{ error }

// copy writes a picture's bytes and returns their hash. Bytes that break off are gone on with where they did.
func (e *export) copy(ctx context.Context, id string, object *origin.Object, to io.Writer) (string, error) {
	hash := sha256.New()
	written := int64(0)
	buffer := make([]byte, copyBytes)
	for try := 1; ; try++ {
		n, err := pour(to, hash, object.Body, buffer)
		written += n
		_ = object.Body.Close() // it was read, or is broken
		var broken *brokenArchive
		if err == nil {
			return hex.EncodeToString(hash.Sum(nil)), nil
		}
		if errors.As(err, &broken) || try == exportTries || ctx.Err() != nil {
			return "", err
		}
		version := object.Version
		if object, err = e.Images.Files.Open(ctx, id, origin.Range{Offset: written}); err != nil {
			return "", err
		}
		if object.Version != version {
			return "", errors.Join(ingest.ErrHash, object.Body.Close())
		}
	}
}

// pour copies and hashes, and tells errors of the two sides apart.
func pour(to, hash io.Writer, from io.Reader, buffer []byte) (n int64, err error) {
	for {
		got, err := from.Read(buffer)
		if got > 0 {
			_, _ = hash.Write(buffer[:got]) // never fails
			if _, err := to.Write(buffer[:got]); err != nil {
				return n, &brokenArchive{err}
			}
			n += int64(got)
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// patience is how long a client may take for a piece of an archive.
const patience = time.Minute

// patient writes an answer of any length to a client that goes on reading.
type patient struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func (p *patient) Write(piece []byte) (int, error) {
	p.begun = true
	_ = p.control.SetWriteDeadline(time.Now().Add(patience)) // a closed connection shows at the write
	return p.w.Write(piece)
}
