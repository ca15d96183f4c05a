package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strconv"
	"time"

	"deckle/ingest"
	"deckle/transform"

	"github.com/valyala/fasthttp"
)

// TokenHeader carries the token of a grant: a query would end in logs.
const TokenHeader = "X-Token"

// ConfirmPath is where a client says that it has put a picture into the store itself.
const ConfirmPath = "/_confirm"

// Confirmer takes in what a client has put into the store itself. It is looked for in Config.Uploads.
type Confirmer interface {
	Confirm(ctx context.Context, token, client string) (ingest.Receipt, error)
}

// Receipt is the answer to an upload; the first four fields are what clients of older services read.
type Receipt struct {
	Status string `json:"status"`
	ID     string `json:"id"`
	Height int    `json:"original_height"` // pixels, upright
	Width  int    `json:"original_width"`  // pixels, upright

	Version     string `json:"version"`
	SHA256      string `json:"sha256"` // of the stored bytes, hex
	MD5         string `json:"md5,omitempty"`
	Bytes       int64  `json:"bytes"`
	Format      string `json:"format"`
	Placeholder string `json:"placeholder,omitempty"` // ThumbHash, base64
	Pending     bool   `json:"pending,omitempty"`     // not served until it is published
}

// upload takes a source: POST or PUT /{id}[.ext] with its token in X-Token and the picture as the body or as the part "image"
// of multipart/form-data; x, y, width and height crop it. PUT answers 201, POST the 200 that clients of older services want.
func (p *Proxy) upload(ctx *fasthttp.RequestCtx, a *Access, path string) {
	defer p.admitOrigin(ctx)
	receipt, err := p.receive(ctx, a, path)
	if err != nil {
		p.discardBody(ctx)
		p.fail(ctx, a, err)
		ctx.SetConnectionClose() // what is left of the body is not read
		return
	}
	status := fasthttp.StatusCreated
	if ctx.IsPost() {
		status = fasthttp.StatusOK
	}
	p.acknowledge(ctx, a, status, receipt)
}

// confirm answers POST /_confirm: what the client has put into the store is taken in. Its token says which grant that was by.
func (p *Proxy) confirm(ctx *fasthttp.RequestCtx, a *Access) {
	defer p.admitOrigin(ctx)
	confirmer, ok := p.Uploads.(Confirmer)
	if !ok || !ctx.IsPost() {
		p.refuseMethod(ctx, "OPTIONS")
		return
	}
	receipt, err := confirmer.Confirm(context.Background(), string(ctx.Request.Header.Peek(TokenHeader)), p.clientName(ctx))
	if err != nil {
		p.fail(ctx, a, err)
		return
	}
	a.Source = receipt.ID
	p.acknowledge(ctx, a, fasthttp.StatusCreated, receipt)
}

func (p *Proxy) acknowledge(ctx *fasthttp.RequestCtx, a *Access, status int, r ingest.Receipt) {
	body, err := json.Marshal(Receipt{
		Status: "OK", ID: r.ID, Height: r.Height, Width: r.Width, Version: r.Version, SHA256: r.SHA256, MD5: r.MD5, Bytes: r.Bytes,
		Format: r.Format.String(), Placeholder: r.Placeholder, Pending: r.Pending,
	})
	if err != nil {
		p.fail(ctx, a, err)
		return
	}
	ctx.SetStatusCode(status)
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
	return p.Uploads.Receive(context.Background(), ingest.Upload{
		ID: id, Token: string(ctx.Request.Header.Peek(TokenHeader)), Body: body, Crop: crop, Client: p.clientName(ctx),
	})
}

// uploadBody finds the picture in the request without reading ahead of it.
func uploadBody(ctx *fasthttp.RequestCtx) (io.Reader, error) {
	body := requestBody(ctx)
	media, parameters, _ := mime.ParseMediaType(string(ctx.Request.Header.ContentType()))
	if media != "multipart/form-data" {
		return body, nil // the body itself is the picture; its type is told by its bytes
	}
	part, err := newPictureForm(body, parameters["boundary"]).next("image")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ingest.ErrNoImage, err)
	}
	return part, nil
}

// A body that is still coming after slowGrace must have come at minRate or faster, bytes per second (TRUST.md threat 14).
const (
	slowGrace = 5 * time.Second
	minRate   = 16 << 10
)

// errSlow ends an upload that keeps a connection without using it.
var errSlow = fmt.Errorf("proxy: the upload is slower than %d bytes per second", minRate)

// Incoming returns what reads a request's body as that of an upload to the edge is read: each piece has a deadline of its own, the
// whole must keep a least rate, and it ends as its request says, not with its connection.
func Incoming(body io.Reader, conn Deadliner) io.Reader {
	return &incoming{body: body, conn: conn}
}

// Deadliner is a connection, or what stands for one.
type Deadliner interface{ SetReadDeadline(at time.Time) error }

// incoming reads a request's body under those deadlines.
type incoming struct {
	body  io.Reader
	conn  Deadliner
	begin time.Time // of the first read: before it the sender may have waited for us
	total int64
}

func (b *incoming) Read(to []byte) (int, error) {
	if b.begin.IsZero() {
		b.begin = time.Now()
	}
	took := time.Since(b.begin)
	if took > slowGrace && b.total < int64(took.Seconds()*minRate) {
		return 0, errSlow
	}
	_ = b.conn.SetReadDeadline(time.Now().Add(pieceTimeout)) // a closed connection shows at the read
	n, err := b.body.Read(to)
	b.total += int64(n)
	// fasthttp takes the end of a connection for that of a body, whatever length was announced, and between two chunks.
	if c, ok := b.conn.(interface{ hasEnded() bool }); ok && errors.Is(err, io.EOF) && c.hasEnded() {
		err = io.ErrUnexpectedEOF
	}
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

// What is read of a refused upload: a photograph, as long as it comes fast.
const (
	mostDiscarded = 16 << 20 // bytes
	discardTime   = 2 * time.Second
)

// discardBody reads what is left of a refused upload, so that its client reads the answer instead of a reset: most clients look
// for an answer when they have sent all, and a connection that is closed before takes the answer with it.
func (p *Proxy) discardBody(ctx *fasthttp.RequestCtx) {
	if stream := ctx.RequestBodyStream(); stream != nil {
		_ = ctx.Conn().SetReadDeadline(time.Now().Add(discardTime))
		_, _ = io.CopyN(io.Discard, stream, mostDiscarded)
	}
}
