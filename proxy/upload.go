package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"strconv"
	"time"

	"deckle/ingest"
	"deckle/transform"

	"github.com/valyala/fasthttp"
)

// uploaded is the answer to an upload; the first four fields are what clients of older services read.
type uploaded struct {
	Status string `json:"status"`
	ID     string `json:"id"`
	Height int    `json:"original_height"` // pixels, upright
	Width  int    `json:"original_width"`  // pixels, upright

	Version string `json:"version"`
	SHA256  string `json:"sha256"` // of the stored bytes, hex
	Bytes   int64  `json:"bytes"`
	Format  string `json:"format"`
}

// upload takes a source: POST /{id}[.ext] with its token in X-Token and the picture as the body or as the part "image" of
// multipart/form-data; x, y, width and height crop it.
func (p *Proxy) upload(ctx *fasthttp.RequestCtx, a *Access, path string) {
	receipt, err := p.receive(ctx, a, path)
	if err != nil {
		p.discardBody(ctx)
		p.fail(ctx, a, err)
		ctx.SetConnectionClose() // what is left of the body is not read
		return
	}
	body, err := json.Marshal(uploaded{
		Status: "OK", ID: receipt.ID, Height: receipt.Height, Width: receipt.Width,
		Version: receipt.Version, SHA256: receipt.SHA256, Bytes: receipt.Bytes, Format: receipt.Format.String(),
	})
	if err != nil {
		p.fail(ctx, a, err)
		return
	}
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.SetContentType("application/json")
	ctx.Response.SetBodyRaw(append(body, '\n'))
}

func (p *Proxy) receive(ctx *fasthttp.RequestCtx, a *Access, path string) (ingest.Receipt, error) {
	if err := p.proveUpload(ctx, a, path); err != nil {
		return ingest.Receipt{}, err
	}
	id, err := uploadID(path)
	if err != nil {
		return ingest.Receipt{}, err
	}
	a.Source = id
	crop, err := uploadCrop(ctx.QueryArgs())
	if err != nil {
		return ingest.Receipt{}, err
	}
	body, err := uploadBody(ctx)
	if err != nil {
		return ingest.Receipt{}, err
	}
	token := string(ctx.Request.Header.Peek("X-Token"))
	return p.Uploads.Receive(context.Background(), ingest.Upload{ID: id, Token: token, Body: body, Crop: crop})
}

// uploadBody finds the picture in the request without reading ahead of it.
func uploadBody(ctx *fasthttp.RequestCtx) (io.Reader, error) {
	var body io.Reader = bytes.NewReader(nil)
	if stream := ctx.RequestBodyStream(); stream != nil {
		body = &incoming{body: stream, conn: ctx.Conn(), begin: time.Now()}
	} else if raw := ctx.Request.Body(); len(raw) > 0 {
		body = bytes.NewReader(raw)
	}
	media, parameters, _ := mime.ParseMediaType(string(ctx.Request.Header.ContentType()))
	if media != "multipart/form-data" {
		return body, nil // the body itself is the picture; its type is told by its bytes
	}
	parts := multipart.NewReader(body, parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ingest.ErrNoImage, err)
		}
		if part.FormName() == "image" {
			return part, nil
		}
	}
}

// A body that is still coming after slowGrace must have come at minRate or faster, bytes per second (TRUST.md threat 14).
const (
	slowGrace = 5 * time.Second
	minRate   = 16 << 10
)

// errSlow ends an upload that keeps a connection without using it.
var errSlow = fmt.Errorf("proxy: the upload is slower than %d bytes per second", minRate)

// incoming reads a request's body: each piece has a deadline of its own, and the whole must keep a least rate.
type incoming struct {
	body  io.Reader
	conn  net.Conn
	begin time.Time
	total int64
}

func (b *incoming) Read(to []byte) (int, error) {
	took := time.Since(b.begin)
	if took > slowGrace && b.total < int64(took.Seconds()*minRate) {
		return 0, errSlow
	}
	_ = b.conn.SetReadDeadline(time.Now().Add(pieceTimeout)) // a closed connection shows at the read
	n, err := b.body.Read(to)
	b.total += int64(n)
	return n, err
}

// uploadCrop reads x, y, width and height, pixels of the upright picture: all of them or none.
func uploadCrop(query *fasthttp.Args) (transform.Crop, error) {
	var crop transform.Crop
	given := 0
	for _, side := range []struct {
		name  string
		to    *int
		least int
	}{{"x", &crop.X, 0}, {"y", &crop.Y, 0}, {"width", &crop.W, 1}, {"height", &crop.H, 1}} {
		value := string(query.Peek(side.name))
		if value == "" {
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < side.least || n > maxCrop {
			return crop, &transform.SpecError{Option: side.name, Value: value[:min(len(value), 64)], Hint: "it is a whole number of pixels"}
		}
		*side.to = n
		given++
	}
	if given != 0 && given != 4 {
		return crop, &transform.SpecError{Option: "x, y, width, height", Hint: "a crop needs all four"}
	}
	return crop, nil
}

// maxCrop bounds a crop's numbers, pixels, so that sums of two cannot overflow.
const maxCrop = 1_000_000

// discardBody reads what little is left of a refused upload, so that its client reads the answer instead of a reset.
func (p *Proxy) discardBody(ctx *fasthttp.RequestCtx) {
	const most = 256 << 10
	if stream := ctx.RequestBodyStream(); stream != nil {
		_ = ctx.Conn().SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.CopyN(io.Discard, stream, most)
	}
}
