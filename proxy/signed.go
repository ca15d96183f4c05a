package proxy

import (
	"bytes"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"deckle/signature"

	"github.com/valyala/fasthttp"
)

// Signed says which requests need a signature (URLS.md section 5). The zero value asks for none; signatures that nobody asked
// for are passed over.
type Signed struct {
	Verifier *signature.Verifier // there when anything below is
	Uploads  bool
	Reads    bool
	Private  []string // ids that are one of these, or go on from one behind a slash, need one to be read
}

// reads tells whether a source may be read with a signature only.
func (s *Signed) reads(source string) bool {
	if s.Reads {
		return true
	}
	for _, prefix := range s.Private {
		if rest, within := strings.CutPrefix(source, prefix); within && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// SourceOf returns the id that the path of a URL names, as ParseRequest reads it, without looking at anything else; empty when
// the path names none.
func SourceOf(path string) string {
	name, err := decodePath(path)
	if err != nil {
		return ""
	}
	var r Request
	id, _, err := r.parseName(name)
	if err != nil {
		return ""
	}
	return id
}

// unsigned refuses a read that needs a signature and has no good one, and tells whether it did. It comes before anything else
// that a request costs: no version, no tier and no store is asked for one that is refused.
func (p *Proxy) unsigned(ctx *fasthttp.RequestCtx, a *Access, path, query string) bool {
	source := p.sourceOf(path)
	if !p.Signed.reads(source) {
		return false
	}
	err := p.prove(ctx, a, path, source, query)
	if err != nil {
		p.fail(ctx, a, err)
	}
	return err != nil
}

// proveUpload checks the signature of an upload where one is needed.
func (p *Proxy) proveUpload(ctx *fasthttp.RequestCtx, a *Access, path string) error {
	if !p.Signed.Uploads {
		return nil
	}
	id, err := uploadID(path)
	if err != nil {
		id = ""
	}
	_, query := splitTarget(string(ctx.RequestURI()))
	return p.prove(ctx, a, path, id, query)
}

func (p *Proxy) prove(ctx *fasthttp.RequestCtx, a *Access, path, source, query string) (err error) {
	a.proof, err = p.Signed.Verifier.Check(signature.Request{Method: method(ctx), Path: path, Source: source, Query: query})
	return err
}

// admits tells whether what is remembered of a target may be used without checking its signature again: it needs none, or the
// one that was found good is so still.
func (p *Proxy) admits(a *Access, read *reading) bool {
	if !p.Signed.reads(read.request.Source) {
		return true
	}
	proof := read.proof.Load()
	if !p.Signed.Verifier.Holds(proof) {
		return false
	}
	a.proof = proof
	return true
}

// provenBy remembers the proof of a target beside what was read of it. One for HEAD alone is not: a GET of the same target
// would be let in by it.
func (read *reading) provenBy(proof *signature.Proof) *reading {
	if proof != nil && proof.Method == fasthttp.MethodGet {
		read.proof.Store(proof)
	}
	return read
}

// endWithSignature sees to it that no cache keeps an answer longer than its URL is good for, and that a redirect leads to a
// URL that is signed as well as the one that was asked for. A 401 says what it wants (RFC 9110 section 11.6.1): browsers know no
// such scheme and ask nobody for a password.
func (p *Proxy) endWithSignature(ctx *fasthttp.RequestCtx, a *Access) {
	if ctx.Response.StatusCode() == fasthttp.StatusUnauthorized {
		ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, `Signature realm="deckle"`)
	}
	if a.private {
		defer p.endPrivate(ctx, a)
	}
	if a.proof == nil {
		return
	}
	h, left := &ctx.Response.Header, p.Signed.Verifier.Left(a.proof)
	if control := h.PeekBytes(headerCacheControl); len(control) > 0 && !bytes.Contains(control, []byte(noStore)) {
		h.SetCanonical(headerCacheControl, boundControl(a.scratch[:0], control, left))
	}
	if len(p.told.cdn) > 0 {
		if control := find(h, headerCDNControl); control != nil {
			h.SetCanonical(headerCDNControl, boundControl(a.scratch[:0], control, left))
		}
	}
	if location := h.Peek(fasthttp.HeaderLocation); len(location) > 0 && location[0] == '/' {
		h.Set(fasthttp.HeaderLocation, p.signLocation(a, string(location)))
	}
}

// find returns the value of a header that was set by its canonical name, which fasthttp neither finds nor deletes where it would
// write it another way; nil when it was not set.
func find(h *fasthttp.ResponseHeader, name []byte) []byte {
	for set, value := range h.All() {
		if bytes.Equal(set, name) {
			return value
		}
	}
	return nil
}

func has(h *fasthttp.ResponseHeader, name []byte) bool { return find(h, name) != nil }

// boundControl appends a Cache-Control whose ages are at most left, and without what lets a cache go on after them.
func boundControl(b, control []byte, left time.Duration) []byte {
	for directive := range bytes.SplitSeq(control, []byte(",")) {
		directive = bytes.Trim(directive, " ")
		name, value, _ := bytes.Cut(directive, []byte("="))
		switch string(name) {
		case "max-age", "s-maxage":
			age, err := strconv.ParseInt(string(value), 10, 64)
			if most := int64(left / time.Second); err != nil || age > most {
				age = most
			}
			b = append(append(b, name...), '=')
			b = strconv.AppendInt(b, age, 10)
		case "stale-while-revalidate", "stale-if-error":
			continue
		default:
			b = append(b, directive...)
		}
		b = append(b, ", "...)
	}
	return append(b, "must-revalidate"...)
}

// signLocation signs where a request that was let in is redirected to, with the same end, unless its own signature covers it.
func (p *Proxy) signLocation(a *Access, location string) string {
	path, query := splitTarget(location)
	decoded, err := url.PathUnescape(path)
	if err != nil || a.proof.Scope != "" && signature.Covers(a.proof.Scope, decoded, a.Source) {
		return location
	}
	if query = signature.Strip(query); query != "" {
		query += "&"
	}
	return path + "?" + query + p.Signed.Verifier.Query(a.proof.Method, decoded, "", a.proof.Expires)
}

// codeOf returns the code of a refused signature; empty for any other error.
func codeOf(err error) string {
	var refused *signature.Error
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}
