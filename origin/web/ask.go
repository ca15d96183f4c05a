package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"deckle/origin"
)

// Answers that lead to another question.
var (
	errNoMethod = errors.New("upstream does not know the method")
	errNoRange  = errors.New("upstream has nothing in the range")
)

// errSlow is the cause of a context that the patience of an ask ended.
var errSlow = errors.New("upstream too slow")

// ask is one request to the upstream and the patience with it, which is only spent while we wait for the upstream.
type ask struct {
	parent   context.Context // the caller's
	ctx      context.Context // ends with parent or with patience
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	config   Config
	waited   time.Duration
	response *http.Response
}

// ask sends a request and returns once an acceptable answer's headers are here. Whoever called ends it.
func (s *Store) ask(ctx context.Context, method, id string, r origin.Range) (*ask, error) {
	if err := origin.CheckID(id); err != nil {
		return nil, err
	}
	return s.askAt(ctx, method, s.address(id), r)
}

// askAt is ask at an address.
func (s *Store) askAt(ctx context.Context, method, address string, r origin.Range) (*ask, error) {
	a := &ask{parent: ctx, config: s.config}
	a.ctx, a.cancel = context.WithCancelCause(ctx)
	a.timer = time.AfterFunc(s.config.Timeout, func() { a.cancel(errSlow) })
	request, err := http.NewRequestWithContext(a.ctx, method, address, nil)
	if err != nil {
		a.end()
		return nil, fmt.Errorf("%w: %w", origin.ErrUnavailable, err)
	}
	request.Header.Set("Accept-Encoding", "identity")
	request.Header.Set("User-Agent", "Deckle")
	if r != (origin.Range{}) {
		request.Header.Set("Range", rangeHeader(r))
	}
	if s.config.Header != nil {
		s.config.Header(ctx, request.Header)
	}
	began := time.Now()
	a.response, err = s.client.Do(request) //nolint:bodyclose // end closes it
	a.timer.Stop()
	a.waited = time.Since(began)
	if err == nil {
		err = acceptable(a.response, r)
	} else {
		err = a.fault(err)
	}
	if err != nil {
		a.end()
		return nil, err
	}
	return a, nil
}

// rangeHeader spells a range for RFC 9110 section 14.1.2, where the last position is included.
func rangeHeader(r origin.Range) string {
	header := "bytes=" + strconv.FormatInt(r.Offset, 10) + "-"
	if last := r.Offset + r.Length - 1; r.Length > 0 && last >= r.Offset {
		header += strconv.FormatInt(last, 10)
	}
	return header
}

func acceptable(response *http.Response, r origin.Range) error {
	switch code := response.StatusCode; {
	case code == http.StatusNotFound, code == http.StatusGone:
		return origin.ErrNotFound
	case code == http.StatusRequestedRangeNotSatisfiable && r != (origin.Range{}):
		return errNoRange
	case response.Request.Method == http.MethodHead && (code == http.StatusMethodNotAllowed || code == http.StatusNotImplemented):
		return errNoMethod
	case code == http.StatusPartialContent && r == (origin.Range{}):
		return fmt.Errorf("upstream: %w: part of the source, unasked", origin.ErrUnavailable)
	case code != http.StatusOK && code != http.StatusPartialContent:
		return fmt.Errorf("upstream: %w: status %d", origin.ErrUnavailable, code)
	}
	// Unpacking would hide the length from the limits, and asking for identity forbids it (RFC 9110 section 12.5.3).
	if coding := response.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return fmt.Errorf("upstream: %w: a content coding, unasked", origin.ErrUnavailable)
	}
	return nil
}

// end gives the connection back, or closes it when the answer was not read to its end.
func (a *ask) end() {
	a.timer.Stop()
	if a.response != nil {
		_ = a.response.Body.Close()
	}
	a.cancel(nil)
}

// fault says what an error of the transport means for the caller.
func (a *ask) fault(err error) error {
	if ended := a.parent.Err(); ended != nil {
		return fmt.Errorf("upstream: %w", ended)
	}
	if cause := context.Cause(a.ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, origin.ErrForbidden) {
		return fmt.Errorf("upstream: %w", err)
	}
	return fmt.Errorf("upstream: %w: %w", origin.ErrUnavailable, err)
}
