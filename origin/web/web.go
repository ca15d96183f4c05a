// Package web reads originals from an HTTP server that somebody else keeps, and trusts nothing that it says.
package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"deckle/origin"
)

// The limits that are not configured (TRUST.md threats 21 to 23, fault F10).
const (
	connectTimeout   = time.Second
	tlsTimeout       = 2 * time.Second
	firstByteTimeout = 3 * time.Second
	rateGrace        = 3 * time.Second // before the smallest rate is asked for
	maxHeaderBytes   = 64 << 10
	maxConnections   = 32 // to one upstream, so that a slow one does not take all sockets
	maxRedirects     = 3
)

// Config limits an upstream. Zero fields take the value in brackets.
type Config struct {
	// Guard decides which addresses may be connected to. The port that the base names is allowed besides.
	Guard origin.Guard
	// Hosts may be redirected to, besides the base's own: names without a port.
	Hosts []string
	// Redirects followed for one request, at most 3 [none].
	Redirects int
	// MaxBytes of a source [32 MiB].
	MaxBytes int64
	// Timeout for all waiting on the upstream for one source; the time that the reader of a body takes is its own [10 s].
	Timeout time.Duration
	// MinRate of a body, after 3 s, bytes a second [16 KiB].
	MinRate int64
	// Header, if set, adds to the headers of each request; ctx is that of whoever asks.
	Header func(ctx context.Context, h http.Header)
	// Now is the clock that versions are made of when an upstream gives no validator [time.Now].
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.MaxBytes <= 0 {
		c.MaxBytes = 32 << 20
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.MinRate <= 0 {
		c.MinRate = 16 << 10
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Store is the upstream whose sources lie below one URL.
//
// A version is made of the strong ETag; failing that of Last-Modified and the length, which misses a second replacement
// within a second by bytes of the same length; failing both of the current hour and the length, so that a replaced source is
// seen within an hour.
type Store struct {
	base   string // without a slash at the end
	config Config
	client *http.Client
}

var _ origin.Reader = (*Store)(nil)

// New returns the upstream at base: an http or https URL with a host, without user, query or fragment. Nothing is connected
// to yet. Close it.
func New(base string, config Config) (*Store, error) {
	u, err := parseBase(base)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	if config.Redirects < 0 || config.Redirects > maxRedirects {
		return nil, fmt.Errorf("upstream: %d redirects, want 0 to %d", config.Redirects, maxRedirects)
	}
	config = config.withDefaults()
	guard := config.Guard
	if port := u.Port(); port != "" {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("upstream: port %q", port)
		}
		guard = withPort(guard, uint16(number))
	}
	hosts := append([]string{u.Hostname()}, config.Hosts...)
	named := func(host string) bool {
		return slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, host) })
	}
	return &Store{
		base: strings.TrimRight(u.String(), "/"), config: config, client: newClient(guard, redirects(config.Redirects, named)),
	}, nil
}

func newClient(guard origin.Guard, redirect func(*http.Request, []*http.Request) error) *http.Client {
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second, ControlContext: guard.ControlContext}
	return &http.Client{
		CheckRedirect: redirect,
		Transport: &http.Transport{
			// A proxy from the environment would be checked in the target's place.
			Proxy:                  nil,
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    tlsTimeout,
			ResponseHeaderTimeout:  firstByteTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
			MaxConnsPerHost:        maxConnections,
			MaxIdleConnsPerHost:    maxConnections,
			IdleConnTimeout:        time.Minute,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
	}
}

func parseBase(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("scheme %q, want http or https", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("no host")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("a user, query or fragment in the URL")
	}
	return u, nil
}

// withPort adds a port that the operator named to those that the guard allows anyway.
func withPort(guard origin.Guard, port uint16) origin.Guard {
	if len(guard.Ports) == 0 {
		guard.Ports = []uint16{80, 443}
	}
	guard.Ports = append(slices.Clone(guard.Ports), port)
	return guard
}

// redirects returns the rule for the next hop. The address that it leads to is the guard's to check, at the dial.
func redirects(limit int, named func(host string) bool) func(*http.Request, []*http.Request) error {
	return func(next *http.Request, via []*http.Request) error {
		last := via[len(via)-1]
		switch {
		case len(via) > limit:
			return fmt.Errorf("%w: redirected more than %d times", origin.ErrForbidden, limit)
		case next.URL.Scheme != "https" && next.URL.Scheme != last.URL.Scheme:
			return fmt.Errorf("%w: redirected from %s to %s", origin.ErrForbidden, last.URL.Scheme, next.URL.Scheme)
		case next.URL.User != nil:
			return fmt.Errorf("%w: redirected to a URL with a user", origin.ErrForbidden)
		case !named(next.URL.Hostname()):
			return fmt.Errorf("%w: redirected to another host", origin.ErrForbidden)
		}
		// Where the base lies is not the next host's business.
		next.Header.Del("Referer")
		return nil
	}
}

// Close drops idle connections. Opened objects stay readable.
func (s *Store) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// address joins the base and an id, each segment percent-encoded, so that an id stays below the base whatever it holds.
func (s *Store) address(id string) string {
	var b strings.Builder
	b.WriteString(s.base)
	for segment := range strings.SplitSeq(id, "/") {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(segment))
	}
	return b.String()
}

// Stat asks for a source's headers, by HEAD, or by GET where the upstream does not know HEAD.
func (s *Store) Stat(ctx context.Context, id string) (origin.Info, error) {
	info, err := s.stat(ctx, http.MethodHead, id)
	if errors.Is(err, errNoMethod) {
		info, err = s.stat(ctx, http.MethodGet, id)
	}
	return info, err
}

func (s *Store) stat(ctx context.Context, method, id string) (origin.Info, error) {
	a, err := s.ask(ctx, method, id, origin.Range{})
	if err != nil {
		return origin.Info{}, err
	}
	defer a.end()
	return s.describe(a.response, a.response.ContentLength)
}

// Open reads a source. An upstream that knows no ranges is read from the start and cut here. What it sends beyond the limits
// is ErrTooLarge, too little io.ErrUnexpectedEOF, too slowly ErrUnavailable; all of these may come in the middle of the body.
func (s *Store) Open(ctx context.Context, id string, r origin.Range) (*origin.Object, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	a, err := s.ask(ctx, http.MethodGet, id, r)
	if errors.Is(err, errNoRange) {
		return s.openPastEnd(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	object, err := s.object(a, r)
	if err != nil {
		a.end()
		return nil, err
	}
	return object, nil
}

// openPastEnd answers a range that begins at the end of a source or after it.
func (s *Store) openPastEnd(ctx context.Context, id string) (*origin.Object, error) {
	info, err := s.Stat(ctx, id)
	if err != nil {
		return nil, err
	}
	return &origin.Object{Info: info, Body: http.NoBody}, nil
}

// describe reads what the upstream says of a source of size bytes, -1 when it does not say.
func (s *Store) describe(response *http.Response, size int64) (origin.Info, error) {
	if size > s.config.MaxBytes {
		return origin.Info{}, fmt.Errorf("%w: %d bytes, the limit is %d", origin.ErrTooLarge, size, s.config.MaxBytes)
	}
	info := origin.Info{Size: size}
	modified := response.Header.Get("Last-Modified")
	if when, err := http.ParseTime(modified); err == nil {
		info.Modified = when.UTC()
	}
	length := strconv.FormatInt(size, 10)
	switch tag := response.Header.Get("ETag"); {
	case strings.HasPrefix(tag, `"`): // a weak one begins with W/ and does not promise equal bytes (RFC 9110 section 8.8.1)
		info.Version = origin.VersionOf("tag", tag)
	case !info.Modified.IsZero():
		info.Version = origin.VersionOf("modified", modified, length)
	default:
		hour := s.config.Now().Unix() / int64(time.Hour/time.Second)
		info.Version = origin.VersionOf("hour", strconv.FormatInt(hour, 10), length)
	}
	return info, nil
}
