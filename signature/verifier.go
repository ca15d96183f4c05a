package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// Config says which signatures are good.
type Config struct {
	Secrets []string      // newest first; those of File come before them
	File    string        // optional: secrets, one a line, newest first, read again within a second after it has changed
	MaxAge  time.Duration // how far ahead a signature's end may lie
	Now     func() time.Time
}

// Verifier checks signatures. It may be used from many goroutines.
type Verifier struct {
	config  Config
	current atomic.Pointer[secrets]
	looked  atomic.Int64 // when the file was last looked at, Unix nanoseconds
	looking atomic.Bool  // somebody does now

	// read is what the file was when it was last read, whether or not that went well, and complaint what was said of it last.
	// Both belong to whoever is looking.
	read      os.FileInfo
	complaint string
	report    func(error)
}

// lookEvery is how long the file of secrets is believed without looking at it.
const lookEvery = time.Second

// New returns a Verifier. Its error wraps ErrSecrets.
func New(c Config) (*Verifier, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	v := &Verifier{config: c}
	if c.File != "" {
		v.read, _ = os.Stat(c.File) // before it is read, so that a change in between is seen later; reading says what is wrong
	}
	v.looked.Store(c.Now().UnixNano())
	list, err := v.gather()
	if err != nil {
		return nil, err
	}
	v.current.Store(list)
	return v, nil
}

// Report has tell called with what is wrong with a file of secrets that has changed, once for each thing, and with nil when
// new secrets have been taken from it. The secrets from before stay good as long as something is wrong. It is called before
// the first Check.
func (v *Verifier) Report(tell func(error)) { v.report = tell }

func (v *Verifier) gather() (*secrets, error) {
	list := v.config.Secrets
	if v.config.File != "" {
		read, err := readSecrets(v.config.File)
		if err != nil {
			return nil, err
		}
		if len(read) == 0 {
			return nil, badSecrets("the file holds none")
		}
		list = append(read, list...)
	}
	return newSecrets(list)
}

// secrets returns those that are good now. One caller a second looks whether the file has changed; the others go on with what
// is known, so that a slow disk costs one request at a time.
func (v *Verifier) secrets(now time.Time) *secrets {
	since := now.UnixNano() - v.looked.Load() // negative when the clock was set back
	if v.config.File != "" && (since < 0 || since >= int64(lookEvery)) && v.looking.CompareAndSwap(false, true) {
		v.reread()
		v.looked.Store(now.UnixNano())
		v.looking.Store(false)
	}
	return v.current.Load()
}

func (v *Verifier) reread() {
	found, err := os.Stat(v.config.File)
	if err != nil {
		v.complain(badSecrets("the file cannot be looked at"))
		return
	}
	if v.read != nil && os.SameFile(found, v.read) && found.ModTime().Equal(v.read.ModTime()) && found.Size() == v.read.Size() {
		return
	}
	v.read = found
	list, err := v.gather()
	if err != nil {
		v.complain(err)
		return
	}
	v.current.Store(list)
	v.complaint = ""
	if v.report != nil {
		v.report(nil)
	}
}

func (v *Verifier) complain(err error) {
	if said := err.Error(); said != v.complaint && v.report != nil {
		v.complaint = said
		v.report(err)
	}
}

// Request is what a signature is checked against.
type Request struct {
	Method string // as HTTP writes it
	Path   string // as sent, without the query
	Source string // id of the source that the path names; empty for none
	Query  string // raw, with the signature in it
}

// Proof says that a signature was found good, so that the same request need not be checked in full again.
type Proof struct {
	Method  string    // that was signed
	Scope   string    // X-Path; empty when the request's own path was signed
	Expires time.Time // the last moment at which the signature is good
	by      *secrets
}

// Check tells whether a request carries a good signature, and returns an *Error when it does not. The method is part of
// what is signed; a HEAD is let in by a signature for GET too, as it learns nothing more. Nothing else of the query is signed.
func (v *Verifier) Check(r Request) (*Proof, error) {
	now := v.config.Now()
	given, _ := split(r.Query)
	if given.broken || given.signature == "" || given.expires == "" {
		return nil, ErrMissing
	}
	expires, err := given.until()
	if err != nil {
		return nil, err
	}
	if err := v.inTime(expires, now); err != nil {
		return nil, err
	}
	path, ok := decode(r.Path)
	signed := given.path
	if signed == "" {
		signed = path
	}
	if !ok || !Covers(signed, path, r.Source) {
		return nil, ErrPath
	}
	proof := &Proof{Scope: given.path, Expires: expires, by: v.secrets(now)}
	sent, ok := unspell(given.signature)
	for _, method := range signable(r.Method) {
		if ok && proof.by.made(sent, method, signed, given.expires) {
			proof.Method = method
			return proof, nil
		}
	}
	return nil, ErrSignature
}

// inTime holds a signature's end against the clock: the second it names is its last, and it lies no further ahead than allowed.
func (v *Verifier) inTime(expires, now time.Time) error {
	switch {
	case now.Unix() > expires.Unix():
		return ErrExpired
	case expires.Unix()-now.Unix() > int64(v.config.MaxAge/time.Second):
		return ErrTooLong
	}
	return nil
}

// signable lists the methods whose signatures let a request in.
func signable(method string) []string {
	if method == http.MethodHead {
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{method}
}

// unspell reads a signature. The decoder passes over line breaks, so that the length is held too: one value, one spelling.
func unspell(signature string) ([]byte, bool) {
	if len(signature) != encodedLength {
		return nil, false
	}
	sent, err := encoding.DecodeString(signature)
	return sent, err == nil && len(sent) == sha256.Size
}

// made tells whether one of the secrets made a signature. It compares with every one of them, each in constant time, so that
// the time taken says nothing about any.
func (s *secrets) made(sent []byte, method, path, expires string) bool {
	found := false
	for _, secret := range s.list {
		if hmac.Equal(sent, mac(secret, method, path, expires)) {
			found = true
		}
	}
	return found
}

// Holds tells whether a proof is good still: in time, and from secrets that have not changed since. A nil one never is.
func (v *Verifier) Holds(p *Proof) bool {
	if p == nil {
		return false
	}
	now := v.config.Now()
	return v.inTime(p.Expires, now) == nil && p.by == v.secrets(now)
}

// Left returns for how long a proof that holds will do so, whole seconds; never negative.
func (v *Verifier) Left(p *Proof) time.Duration {
	return time.Duration(max(0, p.Expires.Unix()-v.config.Now().Unix())) * time.Second
}

// Query returns the parameters that sign a path with the newest secret, as the function Query does.
func (v *Verifier) Query(method, path, scope string, expires time.Time) string {
	return Query(v.secrets(v.config.Now()).list[0], method, path, scope, expires)
}
