package proxy

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"deckle/ingest"
	"deckle/transform"

	"github.com/valyala/fasthttp"
)

// Granter gives out tokens.
type Granter interface {
	Grants(ctx context.Context, requests []ingest.GrantRequest) ([]ingest.GrantResult, error)
}

// Keeper changes what becomes of sources.
type Keeper interface {
	Publish(ctx context.Context, id string, want ingest.PublishCheck) (ingest.Receipt, error)
	Rotate(ctx context.Context, id string, turn ingest.Turn, to ingest.Target) (ingest.Receipt, error)
	Delete(ctx context.Context, ids []string) ([]ingest.Deletion, error)
}

// C2C serves clients of c2c_images: the endpoints under which they upload, publish, turn and delete pictures, in that system's
// words. What differs, and why, is in docs/compat.md.
type C2C struct {
	Grants Granter
	Keep   Keeper
	Secret string           // of whoever publishes, turns and deletes; empty refuses everybody
	Now    func() time.Time // the wall clock
}

// c2cEndpoint is a row of the table of endpoints.
type c2cEndpoint struct {
	methods []string // the first is what a 405 names
	serve   func(p *Proxy, ctx *fasthttp.RequestCtx, a *Access, path string) (answer any, err error)
}

var c2cEndpoints = map[string]c2cEndpoint{
	"/ping":    {[]string{http.MethodHead, http.MethodGet}, (*Proxy).c2cPing},
	"/upload":  {[]string{http.MethodPost}, (*Proxy).c2cUpload},
	"/publish": {[]string{http.MethodPost}, (*Proxy).c2cPublish},
	"/rotate":  {[]string{http.MethodPost}, (*Proxy).c2cRotate},
	"/delete":  {[]string{http.MethodPost}, (*Proxy).c2cDelete},
}

// c2cMethods are those that are known at all.
var c2cMethods = []string{"HEAD", "OPTIONS", "GET", "PUT", "PATCH", "POST", "DELETE"}

// c2cRefusal is an answer in words of that system.
type c2cRefusal struct {
	status int
	text   string
}

func (r *c2cRefusal) Error() string { return "proxy: " + r.text }

// c2cDone is the answer to what has been done.
type c2cDone struct {
	Success  bool   `json:"success"`
	Filename string `json:"filename,omitempty"`
}

// c2c answers a request for one of the endpoints, and tells whether it was one. Letter case and a slash at the end say nothing.
func (p *Proxy) c2c(ctx *fasthttp.RequestCtx, a *Access, path string) bool {
	endpoint, known := c2cEndpoints[strings.ToLower(strings.TrimSuffix(path, "/"))]
	if !known {
		return false
	}
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderCacheControl, noStore)
	if p.admitOrigin(ctx); p.Origins.any() {
		h.Set(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
	}
	asked, allow := string(ctx.Method()), strings.Join(endpoint.methods, ", ")
	switch {
	case p.draining.Load():
		p.c2cFail(ctx, a, &c2cRefusal{http.StatusServiceUnavailable, "Server is shutting down"})
	case slices.Contains(endpoint.methods, asked):
		p.c2cServe(ctx, a, endpoint, path)
	case asked == http.MethodOptions:
		p.c2cOptions(ctx, allow)
	case slices.Contains(c2cMethods, asked):
		p.c2cFail(ctx, a, &c2cRefusal{http.StatusMethodNotAllowed, "Method Not Allowed"})
		h.Set(fasthttp.HeaderAllow, allow)
	default:
		p.c2cFail(ctx, a, &c2cRefusal{http.StatusNotImplemented, "Not Implemented"})
		h.Set(fasthttp.HeaderAllow, allow)
	}
	return true
}

func (p *Proxy) c2cServe(ctx *fasthttp.RequestCtx, a *Access, endpoint c2cEndpoint, path string) {
	answer, err := endpoint.serve(p, ctx, a, path)
	if err != nil {
		p.c2cFail(ctx, a, err)
		return
	}
	if text, plain := answer.(string); plain {
		ctx.SetContentType("text/plain; charset=utf-8")
		ctx.SetBodyString(text)
		return
	}
	ctx.SetContentType("application/json; charset=utf-8")
	ctx.SetBodyString(strings.TrimSuffix(string(spellJSON(answer, false)), "\n"))
}

// c2cFail answers an error as text. What has words of its own keeps them; the others are said as everywhere here.
func (p *Proxy) c2cFail(ctx *fasthttp.RequestCtx, a *Access, err error) {
	a.Cause = err
	said := problemOf(err)
	var refusal *c2cRefusal
	if errors.As(err, &refusal) {
		said.Status, said.Detail = refusal.status, refusal.text
	}
	p.discardBody(ctx)
	p.retryLater(&ctx.Response.Header, said.Status, err)
	ctx.SetStatusCode(said.Status)
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBodyString(said.Detail)
	ctx.SetConnectionClose() // what is left of the body is not read
}

// c2cOptions answers a preflight, or which method there is.
func (p *Proxy) c2cOptions(ctx *fasthttp.RequestCtx, allow string) {
	h := &ctx.Response.Header
	asked := &ctx.Request.Header
	if len(asked.Peek(fasthttp.HeaderOrigin)) == 0 || len(asked.Peek("Access-Control-Request-Method")) == 0 || !has(h, headerAllowOrigin) {
		h.Set(fasthttp.HeaderAllow, allow)
		return
	}
	h.Set("Access-Control-Max-Age", "1728000")
	h.Set("Access-Control-Allow-Methods", "GET,POST")
	h.Set("Access-Control-Allow-Headers", "Origin,Content-Type,Accept,Authorization")
	ctx.SetStatusCode(http.StatusNoContent)
}

func (p *Proxy) c2cPing(*fasthttp.RequestCtx, *Access, string) (any, error) { return "Pong!", nil }

// c2cPublish makes an upload one that is served.
func (p *Proxy) c2cPublish(ctx *fasthttp.RequestCtx, a *Access, _ string) (any, error) {
	form, err := p.c2cForm(ctx)
	if err != nil {
		return nil, err
	}
	id, _, wrong := form.key("filename")
	if wrong != "" {
		return nil, badParameters(wrong)
	}
	a.Source = id
	_, err = p.C2C.Keep.Publish(context.Background(), id, ingest.PublishCheck{})
	if errors.Is(err, ingest.ErrNotFound) {
		return nil, &c2cRefusal{http.StatusNotFound, "Unknown image."}
	}
	return c2cDone{Success: true}, err
}

// c2cDelete erases pictures; what is not there is deleted already.
func (p *Proxy) c2cDelete(ctx *fasthttp.RequestCtx, _ *Access, _ string) (any, error) {
	form, err := p.c2cForm(ctx)
	if err != nil {
		return nil, err
	}
	ids, wrong := form.keys("filenames")
	if wrong != "" {
		return nil, badParameters(wrong)
	}
	for some := range slices.Chunk(ids, ingest.MaxDeletes) {
		deletions, err := p.C2C.Keep.Delete(context.Background(), some)
		if err != nil {
			return nil, err
		}
		for _, d := range deletions {
			if d.Err != nil {
				return nil, d.Err
			}
		}
	}
	return c2cDone{Success: true}, nil
}

// c2cTurns are the rotations by their names.
var c2cTurns = map[string]ingest.Turn{"-90": ingest.TurnLeft, "90": ingest.TurnRight, "180": ingest.TurnOver}

// c2cRotate turns a picture, which has another key from then on.
func (p *Proxy) c2cRotate(ctx *fasthttp.RequestCtx, a *Access, _ string) (any, error) {
	form, err := p.c2cForm(ctx)
	if err != nil {
		return nil, err
	}
	turn, wrong := form.turn()
	id, ext, wrongKey := form.key("filename")
	if wrong != "" || wrongKey != "" {
		return nil, badParameters(wrong, wrongKey)
	}
	if ext == "svg" {
		return nil, &c2cRefusal{http.StatusBadRequest, "SVG images rotation is not supported."}
	}
	a.Source = id
	key, err := p.C2C.newKey()
	if err != nil {
		return nil, err
	}
	receipt, err := p.C2C.Keep.Rotate(context.Background(), id, turn, ingest.Target{NewID: key, Move: true})
	if errors.Is(err, ingest.ErrNotFound) {
		return nil, &c2cRefusal{http.StatusNotFound, "Not found"}
	}
	return c2cDone{true, key + "." + extOf(receipt.Format)}, err
}

// extOf is the extension of a key; SVG has one, though no URL asks for it.
func extOf(f transform.Format) string {
	if f == transform.SVG {
		return "svg"
	}
	return f.Ext()
}

// newKey makes a key without an extension: the time, and a random number that is short enough to be read out and cannot be
// guessed within the life of an upload.
func (c *C2C) newKey() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(9_999_999_999))
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	return fmt.Sprintf("%010d_%010d", c.Now().Unix(), n), nil
}

// knows compares digests, so that the time taken says nothing about the secret or its length.
func (c *C2C) knows(secret string) bool {
	shown, wanted := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(c.Secret))
	return subtle.ConstantTimeCompare(shown[:], wanted[:]) == 1 && c.Secret != ""
}
