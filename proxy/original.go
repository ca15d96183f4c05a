package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"deckle/origin"
	"deckle/transform"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/singleflight"
)

// kindKey names the bytes whose type is remembered.
type kindKey struct{ id, version string }

// kinds remembers the types of stored sources, and lets many who ask for one at a time share one reading of it.
type kinds struct {
	list    *lru.Cache[kindKey, transform.Format]
	reading singleflight.Group
}

func newKinds() *kinds {
	const most = 65536
	list, err := lru.New[kindKey, transform.Format](most)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &kinds{list: list}
}

// isStored tells whether the format that r asks for is that of the source's own bytes, which then are the answer.
func (p *Proxy) isStored(wait context.Context, r Request, info origin.Info) (bool, error) {
	kind, err := p.kind(wait, kindKey{r.Source, info.Version})
	if err != nil {
		return false, err
	}
	switch kind {
	case transform.Source:
		return false, nil
	case transform.JPEG, transform.PNG, transform.GIF:
		return r.Spec.Format == kind || r.Spec.Format == transform.Auto, nil
	}
	return r.Spec.Format == kind, nil
}

// kind returns the type of a source's bytes as safeKind says, from memory or by reading it.
func (p *Proxy) kind(wait context.Context, key kindKey) (transform.Format, error) {
	if kind, known := p.kinds.list.Get(key); known {
		return kind, nil
	}
	kind, err, _ := p.kinds.reading.Do(key.id+"\x00"+key.version, func() (any, error) {
		if kind, known := p.kinds.list.Get(key); known { // read since the look above
			return kind, nil
		}
		source, now, err := p.fetch(wait, key.id)
		if err != nil {
			return transform.Source, err
		}
		kind := p.safeKind(source)
		p.kinds.list.Add(kindKey{key.id, now.Version}, kind)
		return kind, nil
	})
	return kind.(transform.Format), err
}

// safeKind returns the type of a source that may be passed on as it is: one whose header is sound and within the limits, as
// every upload's is. Others may have been put into the store by other hands; for them it is Source, so that they are rendered,
// which says what is wrong with them.
func (p *Proxy) safeKind(source []byte) transform.Format {
	header, err := p.Limits.ReadHeader(source)
	if err != nil {
		return transform.Source
	}
	return header.Format
}

// original streams the stored bytes, unchanged, or the part of them that a Range asks for.
func (p *Proxy) original(wait context.Context, ctx *fasthttp.RequestCtx, a *Access, r Request, info origin.Info) error {
	tag := `"` + info.Version + `"`
	if p.fresh(ctx, tag, info.Modified) {
		a.From = fromFresh
		p.notModified(ctx, r, tag, info.Modified)
		return nil
	}
	part, partial, err := p.wantedPart(ctx, tag, info)
	if err != nil {
		return p.unsatisfiable(ctx, a, info.Size)
	}
	// The body is read after this call has returned, so the deadline of the look-up must not end it.
	object, err := p.Sources.Open(context.WithoutCancel(wait), r.Source, part)
	if err != nil {
		return err
	}
	if partial && object.Version != info.Version {
		_ = object.Body.Close() // a part of other bytes than the validator named is of no use to anybody
		return &changedError{now: object.Info}
	}
	a.From, a.Bytes = fromOriginal, -1
	h := &ctx.Response.Header
	h.SetContentType(r.contentType(p, object.Info))
	h.Set(fasthttp.HeaderAcceptRanges, "bytes")
	h.SetCanonical(headerCacheStatus, cacheStatus(a.scratch[:0], a))
	p.validators(h, r, `"`+object.Version+`"`, object.Modified)
	length := int(object.Size)
	if partial {
		length = int(part.Length)
		h.Set(fasthttp.HeaderContentRange, fmt.Sprintf("bytes %d-%d/%d", part.Offset, part.Offset+part.Length-1, info.Size))
		ctx.SetStatusCode(fasthttp.StatusPartialContent)
	}
	if length >= 0 {
		a.Bytes = length
	}
	ctx.SetBodyStream(&paced{ReadCloser: object.Body, conn: ctx.Conn()}, length)
	return nil
}

// contentType is that of the stored bytes; .auto is answered with what they are.
func (r Request) contentType(p *Proxy, info origin.Info) string {
	if r.Spec.Format != transform.Auto {
		return r.Spec.Format.MediaType()
	}
	kind, _ := p.kinds.list.Get(kindKey{r.Source, info.Version})
	return kind.MediaType()
}

// paced gives each piece of a streamed body a write deadline of its own, so that a long download is bounded by progress and
// not by its length.
type paced struct {
	io.ReadCloser
	conn net.Conn
}

func (b *paced) Read(to []byte) (int, error) {
	_ = b.conn.SetWriteDeadline(time.Now().Add(pieceTimeout)) // a closed connection shows at the write
	return b.ReadCloser.Read(to)
}

// pieceTimeout bounds how long a client may take over one buffer of a body, in either direction.
const pieceTimeout = 10 * time.Second

var errRange = errors.New("proxy: range not satisfiable")

// wantedPart reads Range and If-Range (RFC 9110 section 14). Several ranges, other units and malformed ones are passed over,
// which answers the whole. errRange means 416.
func (p *Proxy) wantedPart(ctx *fasthttp.RequestCtx, tag string, info origin.Info) (origin.Range, bool, error) {
	header := ctx.Request.Header.Peek(fasthttp.HeaderRange)
	if len(header) == 0 || info.Size <= 0 || !ctx.IsGet() {
		return origin.Range{}, false, nil
	}
	if condition := string(ctx.Request.Header.Peek(fasthttp.HeaderIfRange)); condition != "" && condition != tag {
		date, err := fasthttp.ParseHTTPDate([]byte(condition))
		same := err == nil && !info.Modified.IsZero() && date.Equal(info.Modified.Truncate(time.Second))
		if !same {
			return origin.Range{}, false, nil
		}
	}
	return parseRange(string(header), info.Size)
}

// unsatisfiable answers 416 with the length that there is.
func (p *Proxy) unsatisfiable(ctx *fasthttp.RequestCtx, a *Access, size int64) error {
	a.Cause = errRange
	ctx.Response.Header.Set(fasthttp.HeaderContentRange, "bytes */"+strconv.FormatInt(size, 10))
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.SetStatusCode(fasthttp.StatusRequestedRangeNotSatisfiable)
	return nil
}
