package proxy

import (
	"hash/maphash"
	"sync/atomic"

	"deckle/cache"
	"deckle/origin"
	"deckle/transform"
)

// reading is a request target, read: what a second request for the same target need not do again. It is immutable but for
// named, which holds the last answer to a question.
type reading struct {
	target  string
	path    string // of it, bounded, for the log
	request Request
	named   atomic.Pointer[naming] // of a request whose format needs no negotiation
}

// naming is the key of a request at one version of its source.
type naming struct {
	version string
	key     cache.Key
}

// readings remembers targets, a bounded number of them: each has one place, and the last one to come keeps it. There is no
// lock, and finding allocates nothing.
type readings struct {
	seed   maphash.Seed
	places []atomic.Pointer[reading]
}

// maxReadings is how many targets are remembered; a power of two. At about 400 bytes each they take some 13 MB when full.
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
func (m *readings) keep(target []byte, path string, r Request) *reading {
	read := &reading{target: string(target), path: path, request: r}
	if len(target) <= maxRemembered {
		m.place(target).Store(read)
	}
	return read
}

// key names the variant of r in every tier. When r is what was read, the name is remembered for the version.
func (p *Proxy) key(read *reading, r Request, info origin.Info) cache.Key {
	settled := r.Spec.Format == read.request.Spec.Format && r.Spec.Format != transform.Auto
	if settled {
		if named := read.named.Load(); named != nil && named.version == info.Version {
			return named.key
		}
	}
	version := info.Version
	if p.Generation != "" {
		version += "." + p.Generation
	}
	key := cache.Key{Source: r.Source, Version: version, Variant: r.variant()}
	if settled {
		read.named.Store(&naming{info.Version, key})
	}
	return key
}
