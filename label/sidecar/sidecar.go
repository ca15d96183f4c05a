// Package sidecar asks a model server over HTTP for labels; docs/labels.md has the contract, for whoever writes one.
package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"deckle/label"
)

// Name is the name of the labeler.
const Name = "sidecar"

// The bounds of an answer.
const (
	maxAnswer = 1 << 20 // bytes
	maxLabels = 1000    // of which label.Clean keeps fewer
)

// Config is what a Labeler works with. URL is required.
type Config struct {
	URL     *url.URL      // http or https
	Key     string        // sent as Authorization: Bearer; empty for none
	Timeout time.Duration // of one request, answer included [30 s]
}

// Labeler asks one server. Each picture is sent once: whoever asks tries again. Close it.
type Labeler struct {
	config Config
	client *http.Client
}

var _ label.Labeler = (*Labeler)(nil)

// New returns a labeler.
func New(c Config) *Labeler {
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 16 << 10,
	}
	// A redirect would send the picture and the key to somebody else.
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Labeler{config: c, client: &http.Client{Transport: transport, Timeout: c.Timeout, CheckRedirect: refuse}}
}

// Close closes the connections that are idle.
func (l *Labeler) Close() error {
	l.client.CloseIdleConnections()
	return nil
}

// Label sends the large rendering. What the server says of the picture is trusted as far as label.Clean goes; its text is not in
// errors, but for the status.
func (l *Labeler) Label(ctx context.Context, p label.Picture) (labels []label.Label, err error) {
	picture, err := p.Large(ctx)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.config.URL.String(), bytes.NewReader(picture))
	if err != nil {
		return nil, withoutURL(err)
	}
	h := request.Header
	h.Set("Content-Type", "image/jpeg")
	h.Set("Accept", "application/json")
	h.Set("User-Agent", "deckle")
	h.Set("X-Deckle-Source", url.PathEscape(p.Source))
	h.Set("X-Deckle-Version", url.PathEscape(p.Version))
	h.Set("X-Deckle-Size", strconv.Itoa(p.Width)+"x"+strconv.Itoa(p.Height))
	if l.config.Key != "" {
		h.Set("Authorization", "Bearer "+l.config.Key)
	}
	response, err := l.client.Do(request)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if err := verdict(response.StatusCode); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the sidecar's answer: %w", withoutURL(err))
	}
	return parse(text)
}

// verdict reads a status: those that are about the picture stay as they are, others pass.
func verdict(status int) error {
	switch status {
	case http.StatusOK:
		return nil
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: the sidecar answers %d", label.ErrRefused, status)
	}
	return fmt.Errorf("the sidecar answers %d", status)
}

// answer is what a server says: {"labels": [{"name", "category", "confidence"}]}. Further members are passed over.
type answer struct {
	Labels *[]struct {
		Name       string   `json:"name"`
		Category   string   `json:"category"`   // object where it is missing
		Confidence *float64 `json:"confidence"` // 0-100
	} `json:"labels"`
}

// parse reads an answer. Its errors wrap label.ErrRefused: a server that answers so will do so again.
func parse(text []byte) ([]label.Label, error) {
	var said answer
	switch err := json.Unmarshal(text, &said); {
	case len(text) > maxAnswer:
		return nil, fmt.Errorf("%w: the sidecar's answer has more than %d bytes", label.ErrRefused, maxAnswer)
	case err != nil || said.Labels == nil:
		return nil, fmt.Errorf(`%w: the sidecar's answer is no {"labels": [{"name", "category", "confidence"}]}`, label.ErrRefused)
	case len(*said.Labels) > maxLabels:
		return nil, fmt.Errorf("%w: the sidecar's answer has more than %d labels", label.ErrRefused, maxLabels)
	}
	labels := make([]label.Label, len(*said.Labels))
	for i, l := range *said.Labels {
		if l.Confidence == nil {
			return nil, fmt.Errorf("%w: label %d of the sidecar has no confidence", label.ErrRefused, i)
		}
		if l.Category == "" {
			l.Category = label.Object
		}
		labels[i] = label.Label{Name: l.Name, Category: l.Category, Confidence: *l.Confidence}
	}
	return label.Clean(labels)
}

// withoutURL takes the address out of an error: operators read it, and a URL may hold a key.
func withoutURL(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return fmt.Errorf("ask the sidecar: %w", at.Err)
	}
	return err
}
