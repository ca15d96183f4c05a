package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"

	"github.com/valyala/fasthttp"
)

// Admission says who may upload where no token is asked for: into namespaces, and as a client of c2c_images. Beside what it
// holds a signature is good, wherever there are secrets. The zero value lets nobody else in.
type Admission struct {
	open bool
	keys [][sha256.Size]byte
}

// NewAdmission returns one that lets in who shows one of the keys, or, when open, everybody.
func NewAdmission(open bool, keys []string) Admission {
	a := Admission{open: open}
	for _, key := range keys {
		a.keys = append(a.keys, sha256.Sum256([]byte(key)))
	}
	return a
}

// errNotAdmitted says that an upload has neither a token nor a key nor a signature.
var errNotAdmitted = errors.New("proxy: the upload shows no right to be taken")

// knows compares digests, every one of them, so that the time taken says nothing about the keys or their lengths.
func (a *Admission) knows(key string) bool {
	digest := sha256.Sum256([]byte(key))
	found := 0
	for i := range a.keys {
		found |= subtle.ConstantTimeCompare(digest[:], a.keys[i][:])
	}
	return found == 1
}

// admitUpload tells whether an upload without a token is taken. Nothing of its body has been read.
func (p *Proxy) admitUpload(ctx *fasthttp.RequestCtx, a *Access, path string) error {
	h := &ctx.Request.Header
	key, found := strings.CutPrefix(string(h.Peek(fasthttp.HeaderAuthorization)), "Bearer ")
	if !found {
		key = string(h.Peek("X-API-Key"))
	}
	switch {
	case p.Admission.open && !p.Signed.Uploads, p.Admission.knows(key):
		return nil
	case p.Signed.Verifier == nil:
		return errNotAdmitted
	}
	_, query := splitTarget(string(ctx.RequestURI()))
	return p.prove(ctx, a, path, "", query)
}
