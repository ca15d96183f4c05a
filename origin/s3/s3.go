// Package s3 keeps originals as objects of a bucket, in Amazon S3 or a server compatible with it.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"deckle/origin"
)

// How long the server is waited for. The SDK asks twice more at most, within a budget that it keeps over all requests.
const (
	connectTimeout   = time.Second
	tlsTimeout       = 2 * time.Second
	firstByteTimeout = 3 * time.Second  // of one attempt to read
	statTimeout      = 2 * time.Second  // all attempts together
	deleteTimeout    = 5 * time.Second  // all attempts together
	putTimeout       = time.Minute      // all attempts together
	putAnswerTimeout = 30 * time.Second // of one attempt, after its last byte
	maxAttempts      = 3
	maxBackoff       = 500 * time.Millisecond
	maxConnections   = 64 // a slow server must not take all sockets
)

// Store is the objects of a bucket below a prefix: the source `a/b` is the object prefix/a/b. Its version is made of the
// ETag and the size. What Commit acknowledged is as durable as the server makes it.
type Store struct {
	client *s3.Client
	reads  *http.Client
	writes *http.Client // waits longer for an answer: the server stores the bytes before it gives one
	bucket string
	prefix string // ends in a slash unless empty
}

var _ origin.Store = (*Store)(nil)

// New returns the store at s3://bucket/prefix?endpoint=URL&region=R&path_style=true; all but the bucket may be left out.
// Credentials, and the region when it is left out, come from where AWS tools look for them; with an endpoint the region is
// us-east-1 where neither says it, and the bucket is part of the path unless path_style=false. Nothing is asked of the server
// yet. Close it.
func New(ctx context.Context, rawURL string) (*Store, error) {
	place, err := parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("s3 originals: %w", err)
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRetryer(newRetryer))
	if err != nil {
		return nil, fmt.Errorf("s3 originals: %w", err)
	}
	if err := place.locate(&cfg); err != nil {
		return nil, fmt.Errorf("s3 originals: %w", err)
	}
	s := &Store{
		reads:  newHTTPClient(cfg, firstByteTimeout),
		writes: newHTTPClient(cfg, putAnswerTimeout),
		bucket: place.bucket,
		prefix: place.prefix,
	}
	s.client = newClient(cfg, place, s.reads)
	return s, nil
}

// Close drops idle connections. Opened objects stay readable.
func (s *Store) Close() error {
	s.reads.CloseIdleConnections()
	s.writes.CloseIdleConnections()
	return nil
}

func (s *Store) key(id string) *string { return aws.String(s.prefix + id) }

// Stat asks for an object's headers.
func (s *Store) Stat(ctx context.Context, id string) (origin.Info, error) {
	head, err := s.head(ctx, id)
	if err != nil {
		return origin.Info{}, err
	}
	return headed(head), nil
}

func (s *Store) head(ctx context.Context, id string) (*s3.HeadObjectOutput, error) {
	if err := origin.CheckID(id); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, statTimeout)
	defer cancel()
	head, err := s.client.HeadObject(limited, &s3.HeadObjectInput{Bucket: &s.bucket, Key: s.key(id)})
	if err != nil {
		return nil, fault(ctx, "stat", err)
	}
	return head, nil
}

// Open reads an object. A whole one is checked against the checksum that the server stored with it, if it did; a body that
// does not agree, or is cut short, ends in an error.
func (s *Store) Open(ctx context.Context, id string, r origin.Range) (*origin.Object, error) {
	if err := origin.CheckID(id); err != nil {
		return nil, err
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	input := &s3.GetObjectInput{Bucket: &s.bucket, Key: s.key(id)}
	if r == (origin.Range{}) {
		input.ChecksumMode = types.ChecksumModeEnabled
	} else {
		input.Range = aws.String(rangeHeader(r))
	}
	got, err := s.client.GetObject(ctx, input)
	if status(err) == http.StatusRequestedRangeNotSatisfiable {
		info, err := s.Stat(ctx, id)
		return &origin.Object{Info: info, Body: http.NoBody}, err
	}
	if err != nil {
		return nil, fault(ctx, "open", err)
	}
	return newObject(ctx, got, r)
}

func newObject(ctx context.Context, got *s3.GetObjectOutput, r origin.Range) (*origin.Object, error) {
	size, first := got.ContentLength, int64(0)
	if got.ContentRange != nil {
		_, total, _ := strings.Cut(*got.ContentRange, "/")
		whole, err := strconv.ParseInt(total, 10, 64)
		if err != nil {
			_ = got.Body.Close()
			return nil, fmt.Errorf("open object: %w: no usable Content-Range", origin.ErrUnavailable)
		}
		size, first = &whole, r.Offset
	}
	info := describe(got.ETag, size, got.LastModified, got.Metadata)
	offset, length := r.Within(info.Size)
	b := &body{ctx: ctx, from: got.Body, left: length}
	// A server may ignore a range, and does for an empty object.
	if _, err := io.CopyN(io.Discard, b.from, offset-first); err != nil {
		_ = got.Body.Close()
		return nil, fault(ctx, "open", err)
	}
	return &origin.Object{Info: info, Body: b}, nil
}

// rangeHeader spells a range for RFC 9110 section 14.1.2, where the last position is included.
func rangeHeader(r origin.Range) string {
	header := "bytes=" + strconv.FormatInt(r.Offset, 10) + "-"
	if last := r.Offset + r.Length - 1; r.Length > 0 && last >= r.Offset {
		header += strconv.FormatInt(last, 10)
	}
	return header
}

func describe(tag *string, size *int64, modified *time.Time, metadata map[string]string) origin.Info {
	info := origin.Info{Size: aws.ToInt64(size), Private: marked(metadata)}
	if modified != nil {
		info.Modified = modified.UTC().Truncate(time.Second)
	}
	info.Version = origin.VersionOf(strings.Trim(aws.ToString(tag), `"`), strconv.FormatInt(info.Size, 10))
	return info
}

// body gives as many bytes as the object was said to have, or an error.
type body struct {
	ctx  context.Context
	from io.ReadCloser
	left int64 // bytes
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.from.Read(p)
	// The last bytes may come with a server's range that was not cut where it was asked to be.
	if int64(n) > b.left {
		n, err = int(b.left), io.EOF
	}
	b.left -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF) && b.left == 0:
		return n, io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return n, fault(b.ctx, "read", err)
}

func (b *body) Close() error { return b.from.Close() }

// fault says what an error of the SDK means for the caller, whose context ctx is.
func fault(ctx context.Context, verb string, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s object: %w", verb, ended)
	}
	if status(err) == http.StatusNotFound {
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "NoSuchBucket" {
			return origin.ErrNotFound
		}
	}
	return fmt.Errorf("%s object: %w: %w", verb, origin.ErrUnavailable, err)
}

// status returns the HTTP status of an answer that is an error, 0 when there was no answer.
func status(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}
