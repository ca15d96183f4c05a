package proxy

import (
	"context"
	"io"
	"net"
	"time"

	"deckle/origin"
	"deckle/transform"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/singleflight"
)

// kindKey names the bytes whose type is remembered.
type kindKey struct{ id, version string }

// kind is what is remembered of stored bytes.
type kind struct {
	format transform.Format // Source when the bytes may not be passed on as they are
	moving bool             // an animation, and rendered as one
	alpha  bool
}

// kinds remembers the kinds of stored sources, and lets many who ask for one at a time share one reading of it.
type kinds struct {
	list    *lru.Cache[kindKey, kind]
	reading singleflight.Group
}

func newKinds() *kinds {
	const most = 65536
	list, err := lru.New[kindKey, kind](most)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &kinds{list: list}
}

// isStored tells whether the format that r asks for is that of the source's own bytes, which then are the answer.
func (p *Proxy) isStored(wait context.Context, r Request, info origin.Info) (bool, error) {
	known, err := p.kind(wait, kindKey{r.Source, info.Version})
	if err != nil {
		return false, err
	}
	switch known.format {
	case transform.Source:
		return false, nil
	case transform.JPEG, transform.PNG, transform.GIF:
		return r.Spec.Format == known.format || r.Spec.Format == transform.Auto, nil
	}
	return r.Spec.Format == known.format, nil
}

// kind returns what is known of a source's bytes, from memory or by reading them.
func (p *Proxy) kind(wait context.Context, key kindKey) (kind, error) {
	if known, ok := p.kinds.list.Get(key); ok {
		return known, nil
	}
	read, err, _ := p.kinds.reading.Do(key.id+"\x00"+key.version, func() (any, error) {
		if known, ok := p.kinds.list.Get(key); ok { // read since the look above
			return known, nil
		}
		source, now, err := p.fetch(wait, key.id, key.version)
		if err != nil {
			return kind{}, err
		}
		found := p.kindOf(source)
		p.kinds.list.Add(kindKey{key.id, now.Version}, found)
		return found, nil
	})
	return read.(kind), err
}

// kindOf looks at a source. What may be passed on as it is has a header that is sound and within the limits, as every upload's
// is. Others may have been put into the store by other hands; their format is Source, so that they are rendered, which says
// what is wrong with them.
func (p *Proxy) kindOf(source []byte) kind {
	header, err := p.Limits.ReadHeader(source)
	if err != nil {
		return kind{}
	}
	return kind{format: header.Format, moving: header.Frames > 1 && !p.Limits.StillOnly(header), alpha: header.Alpha}
}

// family returns the format that Auto stands for: the source's own where every browser shows it; else GIF for an animation,
// PNG for a source with transparency and JPEG for one without.
func (k kind) family() transform.Format {
	switch {
	case k.format == transform.JPEG, k.format == transform.PNG, k.format == transform.GIF:
		return k.format
	case k.moving:
		return transform.GIF
	case k.alpha:
		return transform.PNG
	}
	return transform.JPEG
}

// original streams the stored bytes, unchanged, or the part of them that a Range asks for.
func (p *Proxy) original(wait context.Context, ctx *fasthttp.RequestCtx, a *Access, n *naming, info origin.Info) error {
	stored := n.stored(info)
	if p.precondition(ctx, a, stored) {
		return nil
	}
	part, partial, err := wantedPart(ctx, a, stored, stored.tag, info.Size)
	if err != nil {
		p.unsatisfiable(ctx, a, info.Size, err)
		return nil
	}
	// The body is read after this call has returned, so the deadline of the look-up must not end it.
	object, err := p.Sources.Open(context.WithoutCancel(wait), n.request.Source, part)
	if err != nil {
		return err
	}
	if partial && object.Version != info.Version || object.Private && !info.Private {
		_ = object.Body.Close() // a part of other bytes than the validator named is of no use, and private ones were not looked for
		return &changedError{now: object.Info}
	}
	a.From, a.Bytes = fromOriginal, -1
	h := &ctx.Response.Header
	h.SetContentType(n.request.contentType(p, object.Info))
	h.SetCanonical(headerCacheStatus, cacheStatus(a.scratch[:0], a))
	own := n.stored(object.Info)
	p.validators(h, own, own.tag)
	length := int(object.Size)
	if info.Size > 0 {
		h.SetCanonical(headerRanges, valueBytes)
	}
	if partial {
		length = int(part.Length)
		partially(ctx, part, info.Size)
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
	known, _ := p.kinds.list.Get(kindKey{r.Source, info.Version})
	return known.format.MediaType()
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
