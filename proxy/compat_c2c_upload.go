package proxy

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"

	"deckle/ingest"
	"deckle/transform"

	"github.com/valyala/fasthttp"
)

var (
	errNoFile   = &c2cRefusal{http.StatusBadRequest, "Missing parameters. Expected values are { file }"}
	errBadFile  = &c2cRefusal{http.StatusBadRequest, "Bad parameter file: Invalid input."}
	errBadImage = &c2cRefusal{http.StatusBadRequest, "Unsupported image format."}
)

// c2cFormats are what may be uploaded.
var c2cFormats = []transform.Format{transform.JPEG, transform.PNG, transform.GIF, transform.SVG}

// c2cUpload takes the part "file" of a multipart form, under a new key, and keeps it where nobody reads it until it is
// published.
func (p *Proxy) c2cUpload(ctx *fasthttp.RequestCtx, a *Access, path string) (any, error) {
	if err := p.admitUpload(ctx, a, path); err != nil {
		return nil, err
	}
	file, err := fileOf(string(ctx.Request.Header.ContentType()), requestBody(ctx))
	if err != nil {
		return nil, err
	}
	grant, err := p.grantKey()
	if err != nil {
		return nil, err
	}
	a.Source = grant.ID
	receipt, err := p.Uploads.Receive(context.Background(), ingest.Upload{
		ID: grant.ID, Token: grant.Token, Body: file, Client: p.clientName(ctx),
	})
	switch {
	case errors.Is(err, ingest.ErrNoImage):
		return nil, errBadFile
	case errors.Is(err, transform.ErrUnsupported), errors.Is(err, ingest.ErrPolicy):
		return nil, errBadImage
	case err != nil:
		return nil, err
	}
	return c2cDone{true, grant.ID + "." + extOf(receipt.Format)}, nil
}

// grantKey gives the right to upload under a new key. Two uploads of one second have the same one hardly ever.
func (p *Proxy) grantKey() (ingest.Grant, error) {
	var err error
	for range 3 {
		var key string
		if key, err = p.C2C.newKey(); err != nil {
			break
		}
		var results []ingest.GrantResult
		results, err = p.C2C.Grants.Grants(context.Background(), []ingest.GrantRequest{{
			ID: key, Policy: ingest.Policy{Formats: c2cFormats, Later: true},
		}})
		if err == nil {
			err = results[0].Err
		}
		if err == nil {
			return results[0].Grant, nil
		}
		if !errors.Is(err, ingest.ErrExists) && !errors.Is(err, ingest.ErrHeld) {
			break
		}
	}
	return ingest.Grant{}, err
}

// fileOf finds the part "file" without reading ahead of it. Other parts are passed over.
func fileOf(contentType string, body io.Reader) (io.Reader, error) {
	media, parameters, _ := mime.ParseMediaType(contentType)
	if media != "multipart/form-data" || parameters["boundary"] == "" {
		return nil, errNoFile
	}
	form := newPictureForm(body, parameters["boundary"])
	part, err := form.next("file")
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, errBeside):
		return nil, errNoFile
	case err != nil:
		return nil, errors.Join(ingest.ErrAborted, err)
	}
	return &onlyFile{part, form}, nil
}

// onlyFile is the part that holds the file. It ends well only if no other one follows.
type onlyFile struct {
	file io.Reader
	form *pictureForm
}

func (f *onlyFile) Read(to []byte) (int, error) {
	n, err := f.file.Read(to)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if _, err = f.form.next("file"); err == nil || errors.Is(err, errBeside) {
		err = errBadFile
	}
	f.file = ended{err}
	return n, err
}

// ended goes on ending in the same way.
type ended struct{ err error }

func (e ended) Read([]byte) (int, error) { return 0, e.err }
