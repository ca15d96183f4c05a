// Package introspect asks a service that gives out opaque tokens whether one is good and whose it is: by OAuth 2.0 Token
// Introspection (RFC 7662), or as bit-image asks its token service.
package introspect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"deckle/auth"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
)

// Form is how the service is asked.
type Form string

// The forms there are.
const (
	// RFC7662 posts token=... as a form, and is answered {"active": true, "sub": ...}.
	RFC7662 Form = "rfc7662"
	// CAS posts {"token": ...} as JSON, and is answered {"is_user_authorized": true, "user_id": ...}.
	CAS Form = "cas"
)

const (
	// GoodFor is how long a token that is good is taken without asking again, or until its own end: one that is revoked is
	// taken for that much longer.
	GoodFor = 30 * time.Second
	// BadFor is how long one that is not is refused without asking again.
	BadFor = 5 * time.Second

	askTimeout = 3 * time.Second
	askedMost  = 32       // questions at one time; beyond them nobody can tell
	entries    = 16 << 10 // tokens that are remembered, good and bad
	maxAnswer  = 64 << 10 // bytes

	// After breakAfter failures in a row the service is left alone for breakFor.
	breakAfter = 5
	breakFor   = 2 * time.Second
)

// Config says whom to ask.
type Config struct {
	URL    string
	Form   Form
	Client string // id of this service there, for HTTP basic authentication; empty to send none
	Secret string
	// Issuer and Audience are held against iss and aud of an answer (RFC 7662 section 2.2); empty ones are not.
	Issuer, Audience string
	Mapping          auth.Mapping // of the members of an answer; for CAS its User is user_id unless it is set

	HTTP *http.Client     // [one that follows no redirects]
	Now  func() time.Time // [time.Now]
}

// Service asks. Methods are safe for concurrent use.
type Service struct {
	config  Config
	known   *lru.Cache[string, verdict] // by hash of the token, so that memory holds no token
	asking  singleflight.Group
	places  chan struct{}
	circuit circuitbreaker.CircuitBreaker[any]
}

// verdict is what was answered about one token.
type verdict struct {
	principal auth.Principal
	err       error
	until     time.Time
}

var _ auth.Authenticator = (*Service)(nil)

// New returns a Service that has asked nothing yet.
func New(c Config) (*Service, error) {
	if c.Form != RFC7662 && c.Form != CAS {
		return nil, fmt.Errorf("the form of introspection is %s or %s", RFC7662, CAS)
	}
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" {
		return nil, errors.New("introspection wants a URL")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	known, err := lru.New[string, verdict](entries)
	if err != nil {
		return nil, err
	}
	return &Service{config: c, known: known, places: make(chan struct{}, askedMost), circuit: circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(breakAfter).WithDelay(breakFor).WithSuccessThreshold(1).Build()}, nil
}

// Close gives idle connections up.
func (s *Service) Close() error {
	s.config.HTTP.CloseIdleConnections()
	return nil
}

// Authenticate returns the user whom the service names.
func (s *Service) Authenticate(ctx context.Context, credential string) (auth.Principal, error) {
	if err := auth.CheckForm(credential); err != nil {
		return auth.Principal{}, err
	}
	hash := auth.HashKey(credential)
	if v, ok := s.recall(hash); ok {
		return v.principal, v.err
	}
	// Whoever asks first asks for all; that one's leaving must not cost the others their answer.
	answers := s.asking.DoChan(hash, func() (any, error) {
		if v, ok := s.recall(hash); ok { // answered since it was looked for
			return v.principal, v.err
		}
		return s.ask(context.WithoutCancel(ctx), credential, hash)
	})
	select {
	case answer := <-answers:
		principal, _ := answer.Val.(auth.Principal)
		return principal, answer.Err
	case <-ctx.Done():
		return auth.Principal{}, errors.Join(auth.ErrUnavailable, ctx.Err())
	}
}

// recall returns what is remembered of a token and still stands.
func (s *Service) recall(hash string) (verdict, bool) {
	v, ok := s.known.Get(hash)
	return v, ok && s.config.Now().Before(v.until)
}

// ask asks the service, unless it fails or has enough to do, and remembers what it says.
func (s *Service) ask(ctx context.Context, credential, hash string) (auth.Principal, error) {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		return auth.Principal{}, fmt.Errorf("%w: too many questions at once", auth.ErrUnavailable)
	}
	if !s.circuit.TryAcquirePermit() {
		return auth.Principal{}, fmt.Errorf("%w: the service of tokens is failing", auth.ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	claims, err := s.call(ctx, credential)
	if err != nil {
		s.circuit.RecordFailure()
		return auth.Principal{}, errors.Join(auth.ErrUnavailable, err)
	}
	s.circuit.RecordSuccess()
	v := s.judge(claims)
	s.known.Add(hash, v)
	return v.principal, v.err
}

// judge reads an answer; nil claims are those of a token that is not good.
func (s *Service) judge(claims map[string]any) (v verdict) {
	now := s.config.Now()
	v = verdict{until: now.Add(BadFor), err: auth.ErrUnknown}
	if claims == nil {
		return v
	}
	if v.err = s.check(claims, now); v.err != nil {
		return v
	}
	mapping := s.config.Mapping
	if s.config.Form == CAS && mapping.User == "" {
		mapping.User = "user_id"
	}
	if v.principal, v.err = mapping.Principal(claims); v.err != nil {
		return v
	}
	v.until = now.Add(GoodFor)
	if end, ok := seconds(claims["exp"]); ok && time.Unix(end, 0).Before(v.until) {
		v.until = time.Unix(end, 0)
	}
	return v
}

// check holds what the answer says against the configuration and the clock.
func (s *Service) check(claims map[string]any, now time.Time) error {
	if issuer, said := claims["iss"]; said && s.config.Issuer != "" && issuer != s.config.Issuer {
		return auth.ErrIssuer
	}
	if audience, said := claims["aud"]; said && s.config.Audience != "" {
		list, _ := audience.([]any)
		if one, ok := audience.(string); ok {
			list = []any{one}
		}
		if !slices.Contains(list, any(s.config.Audience)) {
			return auth.ErrAudience
		}
	}
	if end, ok := seconds(claims["exp"]); ok && now.Unix() >= end {
		return auth.ErrExpired
	}
	if begin, ok := seconds(claims["nbf"]); ok && now.Unix() < begin {
		return auth.ErrNotYet
	}
	return nil
}

func seconds(value any) (int64, bool) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	n, err := number.Int64()
	return n, err == nil
}

// call sends one question. Its claims are nil when the token is not good; its errors hold no token.
func (s *Service) call(ctx context.Context, credential string) (claims map[string]any, err error) {
	mediaType, body := "application/x-www-form-urlencoded", []byte(url.Values{"token": {credential}}.Encode())
	if s.config.Form == CAS {
		mediaType = "application/json; charset=utf-8"
		if body, err = json.Marshal(map[string]string{"token": credential}); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("introspection: the URL cannot be asked")
	}
	request.Header.Set("Content-Type", mediaType)
	request.Header.Set("Accept", "application/json")
	if s.config.Client != "" {
		// RFC 6749 section 2.3.1 has both encoded as in a form.
		request.SetBasicAuth(url.QueryEscape(s.config.Client), url.QueryEscape(s.config.Secret))
	}
	response, err := s.config.HTTP.Do(request)
	if err != nil {
		var told *url.Error // it holds the whole URL, which may have a password
		if errors.As(err, &told) {
			err = told.Err
		}
		return nil, fmt.Errorf("introspection: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	return s.read(response)
}

// read reads an answer. bit-image's service may say no by its status as well.
func (s *Service) read(response *http.Response) (map[string]any, error) {
	switch no := response.StatusCode; {
	case s.config.Form == CAS && (no == http.StatusUnauthorized || no == http.StatusForbidden || no == http.StatusNotFound):
		return nil, nil
	case no != http.StatusOK:
		return nil, fmt.Errorf("introspection: %s", response.Status)
	}
	if mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); s.config.Form == RFC7662 && !strings.HasSuffix(mediaType, "json") {
		return nil, errors.New("introspection: the answer is no JSON")
	}
	claims := map[string]any{}
	decoder := json.NewDecoder(io.LimitReader(response.Body, maxAnswer))
	decoder.UseNumber()
	if err := decoder.Decode(&claims); err != nil {
		return nil, errors.New("introspection: the answer is no JSON object")
	}
	flag := map[Form]string{RFC7662: "active", CAS: "is_user_authorized"}[s.config.Form]
	good, said := claims[flag].(bool)
	switch {
	case !said:
		return nil, fmt.Errorf("introspection: the answer does not say %s", flag)
	case !good:
		return nil, nil
	}
	return claims, nil
}
