package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"deckle/origin"
)

// body is the part of an answer that was asked for. It gives exactly as many bytes as the upstream promised, or an error.
type body struct {
	ask    *ask
	skip   int64         // bytes before the part, still to be passed over
	left   int64         // bytes of the part still to come; -1 for all there are, when the upstream does not say how many
	room   int64         // bytes that may still come from the upstream
	got    int64         // bytes that came from the upstream
	waited time.Duration // for them
}

// object makes an answer to a request for r an object. Its body ends the ask.
func (s *Store) object(a *ask, r origin.Range) (*origin.Object, error) {
	first, size := int64(0), a.response.ContentLength
	if a.response.StatusCode == http.StatusPartialContent {
		var err error
		if first, size, err = contentRange(a.response.Header.Get("Content-Range")); err != nil {
			return nil, err
		}
		if first != r.Offset {
			return nil, fmt.Errorf("upstream: %w: bytes from %d, asked from %d", origin.ErrUnavailable, first, r.Offset)
		}
	}
	info, err := s.describe(a.response, size)
	if err != nil {
		return nil, err
	}
	b := &body{ask: a, room: s.config.MaxBytes - first, skip: r.Offset - first, left: -1}
	if r.Length > 0 {
		b.left = r.Length
	}
	if size >= 0 {
		var offset int64
		offset, b.left = r.Within(size)
		b.skip = offset - first
	}
	return &origin.Object{Info: info, Body: b}, nil
}

// contentRange reads "bytes first-last/size" (RFC 9110 section 14.4); size is -1 for "*".
func contentRange(header string) (first, size int64, err error) {
	bad := fmt.Errorf("upstream: %w: no usable Content-Range", origin.ErrUnavailable)
	spec, found := strings.CutPrefix(header, "bytes ")
	span, total, slash := strings.Cut(spec, "/")
	from, to, dash := strings.Cut(span, "-")
	if !found || !slash || !dash {
		return 0, 0, bad
	}
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	if err1 != nil || err2 != nil || first < 0 || last < first {
		return 0, 0, bad
	}
	if total == "*" {
		return first, -1, nil
	}
	size, err = strconv.ParseInt(total, 10, 64)
	if err != nil || last >= size {
		return 0, 0, bad
	}
	return first, size, nil
}

func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if b.skip > 0 {
		skipped, err := io.CopyN(io.Discard, fetcher{b}, b.skip)
		b.skip -= skipped
		if errors.Is(err, io.EOF) && b.left < 0 {
			return 0, io.EOF
		}
		if err != nil {
			return 0, b.fault(err)
		}
	}
	if b.left > 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := fetcher{b}.Read(p)
	if b.left > 0 {
		b.left -= int64(n)
	}
	if err == nil || errors.Is(err, io.EOF) && b.left <= 0 {
		return n, err
	}
	return n, b.fault(err)
}

// fault says why the part ended before its end.
func (b *body) fault(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return b.ask.fault(io.ErrUnexpectedEOF)
	case errors.Is(err, origin.ErrTooLarge):
		return err
	}
	return b.ask.fault(err)
}

func (b *body) Close() error {
	b.ask.end()
	return nil
}

// fetcher reads what the upstream sends, within the limits on size and time.
type fetcher struct{ *body }

func (f fetcher) Read(p []byte) (int, error) {
	if err := f.ask.parent.Err(); err != nil {
		return 0, err
	}
	patience := f.patience()
	if patience <= 0 {
		f.ask.cancel(errSlow)
		return 0, errSlow
	}
	began := time.Now()
	f.ask.timer.Reset(patience)
	n, err := f.ask.response.Body.Read(p)
	f.ask.timer.Stop()
	f.waited += time.Since(began)
	f.got += int64(n)
	f.room -= int64(n)
	if f.room < 0 {
		return 0, fmt.Errorf("upstream: %w: the limit is %d bytes", origin.ErrTooLarge, f.ask.config.MaxBytes)
	}
	return n, err
}

// patience returns how long the next bytes may take: what is left of the time for all of them, and not so long that the
// rate so far drops below the smallest.
func (f fetcher) patience() time.Duration {
	config := f.ask.config
	atRate := time.Duration(float64(f.got) / float64(config.MinRate) * float64(time.Second))
	return min(config.Timeout-f.ask.waited-f.waited, rateGrace+atRate-f.waited)
}
