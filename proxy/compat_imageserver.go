package proxy

import (
	"errors"

	"deckle/signature"
	"deckle/transform"

	"github.com/valyala/fasthttp"
)

// Clients of image-server find their endpoints here: what the path form and namespaces answer, in that system's words. What
// differs, and why, is in docs/compat.md.

// statusCheck is where it says that it is alive.
const statusCheck = "/status_check"

// indentedJSON is the type of its JSON, as it writes it.
const indentedJSON = "application/json; charset=UTF-8"

// errSidecar refuses to store any bytes under a name beside a source.
var errSidecar = errors.New("proxy: files beside a source are not taken")

func (p *Proxy) statusCheck(ctx *fasthttp.RequestCtx) {
	message := "OK"
	if p.draining.Load() {
		message = "Shutting down"
		ctx.SetStatusCode(fasthttp.StatusNotImplemented)
	}
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, noStore)
	ctx.SetContentType(indentedJSON)
	ctx.SetBody(spellJSON(struct {
		Message string `json:"message"`
	}{message}, true))
}

// forImageServer tells whether a request is for what image-server answers: a path below a hash, or an upload into a namespace.
func (p *Proxy) forImageServer(ctx *fasthttp.RequestCtx) bool {
	path, _ := splitTarget(string(ctx.RequestURI()))
	name, err := decodePath(path)
	if err != nil {
		return false
	}
	_, _, hashed := p.Namespaces.split(name)
	return hashed || ctx.IsPost() && p.Namespaces.has(name) && len(ctx.Request.Header.Peek("X-Token")) == 0
}

// failAsImageServer writes an error as image-server's clients know it, where they asked, and tells whether it did. Headers and
// status are set by then.
func (p *Proxy) failAsImageServer(ctx *fasthttp.RequestCtx, err error) bool {
	if !p.ImageServer || !p.forImageServer(ctx) {
		return false
	}
	said := problemOf(err)
	var spec *transform.SpecError
	var refused *signature.Error
	switch {
	case errors.As(err, &refused):
		p.refuseAsImageServer(ctx, refused.Code, signatureTexts[refused.Code])
		return true
	case errors.Is(err, errNotAdmitted):
		p.refuseAsImageServer(ctx, "MissingSignature", said.Detail)
		return true
	case errors.As(err, &spec) && spec.Option == "extension", errors.Is(err, transform.ErrNoVariant):
		if ctx.IsPost() {
			break
		}
		ctx.SetStatusCode(fasthttp.StatusNotFound)
		ctx.SetContentType("text/plain; charset=utf-8")
		ctx.SetBodyString("404 image not available. Not Found")
		return true
	case spec != nil && spec.Option == "crop":
		said.Detail = "invalid crop: " + spec.Hint
		if ctx.IsPost() {
			said.Detail = spec.Value + ": " + said.Detail
		}
	}
	ctx.SetContentType(indentedJSON)
	ctx.SetBody(spellJSON(struct {
		Error string `json:"error"`
	}{said.Detail}, true))
	return true
}

// signatureTexts says for each code why a signature is refused, in image-server's words, which clients may show.
var signatureTexts = map[string]string{
	signature.ErrMissing.Code:   "Request must include X-Signature and X-Expires parameters",
	signature.ErrExpires.Code:   "Invalid expiration timestamp",
	signature.ErrExpired.Code:   "The provided signature has expired",
	signature.ErrTooLong.Code:   "Signature expiration exceeds maximum allowed TTL",
	signature.ErrPath.Code:      "Request path does not match signed path",
	signature.ErrSignature.Code: "The request signature does not match",
}

func (p *Proxy) refuseAsImageServer(ctx *fasthttp.RequestCtx, code, text string) {
	ctx.SetContentType(mediaJSON)
	ctx.SetBody(spellJSON(struct {
		Error   string `json:"error"`
		Message string `json:"message"`
	}{code, text}, false))
}
