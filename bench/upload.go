package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"deckle/internal/testimage"
)

// maxUploadSide bounds the pictures that are made to be sent, pixels.
const maxUploadSide = 6000

// ErrNoUploads says that a target was not told how to bring sources into it.
var ErrNoUploads = errors.New("no way to bring sources in is known: give the target its operator listener (Deckle), or a method and a pattern")

// uploads brings sources into one target. Every one has bytes of its own, so that no store can recognise them.
type uploads struct {
	client *http.Client
	target Target
	method string
	path   string // pattern with {id}; empty for Deckle's tokens
	prefix string // of the ids
	shapes [2][]byte
	count  atomic.Int64
}

func newUploads(c Config, target Target) (*uploads, error) {
	u := &uploads{target: target, prefix: c.Sources[0]}
	if target.Upload != "" {
		var found bool
		if u.method, u.path, found = strings.Cut(target.Upload, " "); !found || !strings.HasPrefix(u.path, "/") {
			return nil, fmt.Errorf("upload %q is not a method and a pattern, as PUT /{id}.jpg", target.Upload)
		}
	} else if target.Admin == "" {
		return nil, ErrNoUploads
	}
	u.client = &http.Client{
		Timeout:   c.Timeout,
		Transport: &http.Transport{MaxIdleConnsPerHost: c.Connections},
	}
	long, short := c.UploadSide, max(c.UploadSide*3/4, 1)
	for i, size := range []image.Point{{X: long, Y: short}, {X: short, Y: long}} {
		u.shapes[i] = testimage.JPEG(testimage.Photo(size.X, size.Y, c.Seed+uint64(i)), 85)
	}
	return u, nil
}

func (u *uploads) close() { u.client.CloseIdleConnections() }

// fresh returns an id that was never used.
func (u *uploads) fresh() string { return u.prefix + "-" + strconv.FormatInt(u.count.Add(1), 10) }

// landscape tells of which shape the picture is that the nth put of one id brings, counted from 0.
func landscape(n int64) bool { return n%2 == 0 }

// send brings in a new source and counts what came of it.
func (u *uploads) send(ctx context.Context, j job, due time.Time, t *tally) {
	body := u.body(0)
	status, err := u.transfer(ctx, j.id, body)
	took := time.Since(due)
	switch {
	case err != nil:
		t.failed(j, outOfTime(err), took)
	case status/100 != 2:
		t.refused(status)
	default:
		t.answered(j, status, len(body), took)
	}
}

// outOfTime tells an error by a deadline, whoever set it.
func outOfTime(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// put brings in the next picture under id, in place of what it may have. The pictures are wider than high and higher than wide
// in turn, which survives every rendering that keeps the ratio.
func (u *uploads) put(ctx context.Context, id string) error {
	shape := 1
	if landscape(u.count.Add(1) - 1) {
		shape = 0
	}
	status, err := u.transfer(ctx, id, u.body(shape))
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("status %d", status)
	}
	if err != nil {
		return fmt.Errorf("bring in %s: %w", id, err)
	}
	return nil
}

// body returns a picture with a comment that no other has.
func (u *uploads) body(shape int) []byte {
	comment := fmt.Sprintf("%s %d %d", u.prefix, u.count.Load(), time.Now().UnixNano())
	segment := []byte{0xff, 0xfe} // COM (ITU-T T.81 B.2.4.5)
	segment = binary.BigEndian.AppendUint16(segment, uint16(len(comment)+2))
	picture := u.shapes[shape]
	return bytes.Join([][]byte{picture[:2], segment, []byte(comment), picture[2:]}, nil)
}

// transfer uploads once: a token and a POST for Deckle, one request by the pattern elsewhere. It returns the status of the last.
func (u *uploads) transfer(ctx context.Context, id string, body []byte) (int, error) {
	method, url := u.method, strings.TrimSuffix(u.target.Base, "/")+strings.ReplaceAll(u.path, "{id}", escapeID(id))
	var token string
	if u.path == "" {
		var status int
		var err error
		if token, status, err = u.token(ctx, id); err != nil || token == "" {
			return status, err
		}
		method, url = http.MethodPost, strings.TrimSuffix(u.target.Base, "/")+"/"+escapeID(id)
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "image/jpeg")
	request.Header.Set("Slug", id+".jpg") // the name, where the server and not the path gives it
	if token != "" {
		request.Header.Set("X-Token", token)
	}
	_, status, err := u.do(request)
	return status, err
}

// token asks Deckle for the right to upload id; empty when it refuses.
func (u *uploads) token(ctx context.Context, id string) (token string, status int, err error) {
	body, err := json.Marshal(map[string]any{"id": id, "replace": true})
	if err != nil {
		return "", 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(u.target.Admin, "/")+"/token", bytes.NewReader(body))
	if err != nil {
		return "", 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	if u.target.APIKey != "" {
		request.Header.Set("Authorization", "Bearer "+u.target.APIKey)
	}
	answer, status, err := u.do(request)
	if err != nil || status/100 != 2 {
		return "", status, err
	}
	var said struct{ Token string }
	if err := json.Unmarshal(answer, &said); err != nil {
		return "", status, fmt.Errorf("read the token: %w", err)
	}
	if said.Token == "" {
		return "", http.StatusBadGateway, errors.New("the answer has no token")
	}
	return said.Token, status, nil
}

func (u *uploads) do(request *http.Request) ([]byte, int, error) {
	response, err := u.client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return body, response.StatusCode, errors.Join(err, response.Body.Close())
}
