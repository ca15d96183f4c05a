package proxy

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"deckle/cache"
	"deckle/origin"
	"deckle/signature"

	"github.com/valyala/fasthttp"
)

// reading is a request target, read: what a second request for the same target need not do again. It is immutable but for
// named and proof, which hold the last answer to a question.
type reading struct {
	target  string
	path    string // of it, bounded, for the log
	request Request
	vary    []byte // the request headers that the answer depends on; empty for none
	named   [numClasses]atomic.Pointer[naming]
	proof   atomic.Pointer[signature.Proof] // that it is signed; nil when it need not be
}

// naming is what a request comes to for one class of viewers, at one version of its source.
type naming struct {
	version string
	private bool
	changed time.Time // when the source did; zero when unknown
	request Request   // its format settled
	key     cache.Key
	tag     string // keyTag of a variant, the entity tag of a stored source
	date    []byte // Last-Modified; empty when unknown
}

// readings remembers targets, a bounded number of them: each has one place, and the last one to come keeps it. There is no
// lock, and finding allocates nothing.
type readings struct {
	seed   maphash.Seed
	places []atomic.Pointer[reading]
}

// maxReadings is how many targets are remembered; a power of two. At about 1 kB each they take some 32 MB when full.
const maxReadings = 1 << 15

// maxRemembered bounds a target that is worth remembering, bytes.
const maxRemembered = 512

func newReadings() *readings {
	return &readings{seed: maphash.MakeSeed(), places: make([]atomic.Pointer[reading], maxReadings)}
}

func (m *readings) place(target []byte) *atomic.Pointer[reading] {
	return &m.places[maphash.Bytes(m.seed, target)&(maxReadings-1)]
}

// find returns what is remembered of a target, or nil.
func (m *readings) find(target []byte) *reading {
	if known := m.place(target).Load(); known != nil && known.target == string(target) {
		return known
	}
	return nil
}

// keep remembers a target that was read.
func (m *readings) keep(target []byte, path, vary string, r Request) *reading {
	read := &reading{target: string(target), path: path, request: r, vary: []byte(vary)}
	if len(target) <= maxRemembered {
		m.place(target).Store(read)
	}
	return read
}

// asking is one viewer's request: what was read of its target, and what the viewer adds to it.
type asking struct {
	read   *reading
	hinted *Request // in place of what was read, where hints changed it
	class  class
}

// name settles what a viewer gets at a version of the source, and names it in every tier.
func (p *Proxy) name(q *asking, info origin.Info) (*naming, error) {
	if q.hinted != nil {
		return p.newNaming(*q.hinted, q.class, info)
	}
	place := &q.read.named[q.class]
	if known := place.Load(); known != nil && known.version == info.Version && known.private == info.Private && known.changed.Equal(info.Modified) {
		return known, nil
	}
	n, err := p.newNaming(q.read.request, q.class, info)
	if err == nil {
		place.Store(n)
	}
	return n, err
}

func (p *Proxy) newNaming(r Request, c class, info origin.Info) (*naming, error) {
	if r.negotiates() || r.losesMotion() {
		known, _ := p.kinds.list.Get(kindKey{r.Source, info.Version})
		var err error
		if r.Spec, err = r.Spec.As(c.format(r.Spec, known.moving, p.Engine.Writes)); err != nil {
			return nil, err
		}
		r.Moving = known.moving && r.losesMotion()
	}
	version := info.Version
	if p.Generation != "" {
		version += "." + p.Generation
	}
	if info.Private {
		version += cache.PrivateMark
	}
	n := &naming{
		version: info.Version, private: info.Private, request: r,
		key: cache.Key{Source: r.Source, Version: version, Variant: r.variant()},
	}
	n.tag = keyTag(n.key)
	n.dated(info.Modified)
	return n, nil
}

func (n *naming) dated(changed time.Time) {
	if n.changed, n.date = changed, nil; !changed.IsZero() {
		n.date = fasthttp.AppendHTTPDate(nil, changed)
	}
}

// stored is n for the source's own bytes.
func (n *naming) stored(info origin.Info) *naming {
	own := *n
	own.tag = `"` + info.Version + `"`
	own.dated(info.Modified)
	return &own
}

// forget drops what is remembered for the class, so that the next look settles it anew.
func (q *asking) forget() { q.read.named[q.class].Store(nil) }

// movingError says that an AVIF was about to be made of an animation, of which it keeps one picture. What was learnt of the
// source is remembered, so that naming the request again knows better.
type movingError struct{}

func (movingError) Error() string { return "proxy: the source is an animation" }

// checkMoving holds back an AVIF of an animation as long as its name does not say that it is one. So no tier ever holds one
// under the name of a plain AVIF, which is what a negotiated request looks for before anything is known of the source.
func (p *Proxy) checkMoving(r *Request, source []byte, version string) error {
	if r.Moving || !r.losesMotion() {
		return nil
	}
	kind := p.kindOf(source)
	if !kind.moving {
		return nil
	}
	p.kinds.list.Add(kindKey{r.Source, version}, kind)
	return movingError{}
}
