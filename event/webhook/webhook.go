// Package webhook brings events to HTTP endpoints: one signed POST an attempt.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"deckle/event"
)

// The headers of a delivery. Timestamp and Signature are there when the endpoint has a secret.
const (
	HeaderID        = "X-Webhook-Id"        // the event's, the same at every attempt
	HeaderTimestamp = "X-Webhook-Timestamp" // Unix seconds of the attempt
	HeaderSignature = "X-Webhook-Signature" // sha256= and what Sign returns
)

const userAgent = "deckle-webhook/1"

const (
	dialTimeout = 5 * time.Second
	idleTimeout = time.Minute
	// maxAnswer is how much is read of an answer, bytes, so that its connection can be used again.
	maxAnswer = 4 << 10
	// maxHeader bounds an answer's headers, bytes.
	maxHeader = 32 << 10
)

// Sign returns the lower-case hexadecimal HMAC-SHA256 of "<unix>.<body>", which is image-server's signature.
func Sign(secret string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%d.", at.Unix()) // a hash never fails
	_, _ = mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// Endpoint is where events are sent to. Close it.
type Endpoint struct {
	url    string
	secret string
	client *http.Client
}

var _ event.Sender = (*Endpoint)(nil)

// Config says what an Endpoint is.
type Config struct {
	URL    *url.URL
	Secret string // empty for no signature
	// Control is asked about every address that is about to be connected to, as by net.Dialer.Control. Optional.
	Control func(network, address string, c syscall.RawConn) error
}

// New returns an endpoint. It connects when something is sent.
func New(c Config) *Endpoint {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: c.Control}
	return &Endpoint{url: c.URL.String(), secret: c.Secret, client: &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: dialTimeout, IdleConnTimeout: idleTimeout,
			MaxResponseHeaderBytes: maxHeader, ForceAttemptHTTP2: true,
		},
		// Elsewhere nobody has vouched for the address, nor should it see what is signed for another.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close gives up idle connections.
func (e *Endpoint) Close() error {
	e.client.CloseIdleConnections()
	return nil
}

// Send posts the event and returns nil when the answer is a 2xx.
func (e *Endpoint) Send(ctx context.Context, v event.Event) error {
	body, err := v.Body()
	if err != nil {
		return fmt.Errorf("spell event: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("prepare delivery: %w", err)
	}
	e.head(request.Header, v.ID, body, time.Now())
	response, err := e.client.Do(request)
	if err != nil {
		return withoutURL(ctx, err)
	}
	// What it says, and whether it says it to the end, is of no interest.
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	_ = response.Body.Close()
	if response.StatusCode/100 == 3 {
		return fmt.Errorf("answered %d: redirects are not followed", response.StatusCode)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("answered %d", response.StatusCode)
	}
	return nil
}

func (e *Endpoint) head(h http.Header, id string, body []byte, at time.Time) {
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", userAgent)
	h.Set(HeaderID, id)
	if e.secret == "" {
		return
	}
	h.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(HeaderSignature, "sha256="+Sign(e.secret, at, body))
}

// withoutURL drops the URL from an error: paths of webhooks are often as good as passwords.
func withoutURL(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
