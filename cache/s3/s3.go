// Package s3 is the durable cache tier in an S3 bucket, shared by all nodes.
package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/failsafe-go/failsafe-go"

	"deckle/cache"
)

// MaxEntry is the size of the largest entry that the tier takes and reads, bytes of its stored form.
const MaxEntry = 64 << 20

// Deadlines, repetitions included.
const (
	getTimeout   = 2 * time.Second
	setTimeout   = 10 * time.Second
	purgeTimeout = 30 * time.Second // of many calls
)

const (
	maxAttempts = 3 // the first and two more, within the budget for repetitions
	maxBackoff  = 500 * time.Millisecond
	connections = 32 // how many calls wait for the server at the same time
	dialTimeout = time.Second
	// breakerWindow is the time within which five failures make the tier be left alone.
	breakerWindow = 10 * time.Second
	// trustedLength bounds what is allocated on the word of a Content-Length; longer bodies grow as they come.
	trustedLength = 4 << 20
)

// Tier stores each entry as an object <prefix>/<cache.SourcePath, with ! for each slash>/<cache.VariantName>, so that
// Purge and Sweep list and delete by prefix, and a listing tells what is there. Nothing expires by itself: give the bucket a lifecycle rule that deletes objects of some age.
//
// Calls have deadlines of 2 s to get, 10 s to set and 30 s to purge, and are repeated up to twice within them. After five
// failures within ten seconds the tier answers cache.ErrOpen at once and probes the server once a second.
type Tier struct {
	*cache.Breaker
	http  *http.Client
	store *store // for Public
}

var _ cache.Tier = (*Tier)(nil)

// New returns a tier on s3://bucket/prefix?endpoint=URL&region=R&path_style=true. Without endpoint it is AWS, without region
// the environment says which; with an endpoint it is us-east-1 where neither does, as compatible servers take it. Credentials
// come from the places where all S3 tools look for them: environment, shared files, the instance. With an endpoint, buckets are
// part of the path unless path_style=false. The bucket has to exist, and is not asked for until the tier is used.
func New(ctx context.Context, url string) (*Tier, error) {
	a, err := parse(url)
	if err != nil {
		return nil, err
	}
	buildable := awshttp.NewBuildableClient().WithTransportOptions(limit)
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(buildable), // which the environment may add certificates to
		config.WithRetryer(newRetryer),
		config.WithRegion(a.region), // empty leaves it to the environment
	)
	if err != nil {
		return nil, fmt.Errorf("configure S3: %w", err)
	}
	switch {
	case cfg.Region != "":
	case a.endpoint != "":
		cfg.Region = "us-east-1" // what compatible servers take, or pass over
	default:
		return nil, errors.New("configure S3: no region; name it in the URL (region=eu-west-1) or in AWS_REGION")
	}
	if configured, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		buildable = configured
	}
	// Frozen, it is an http.Client, whose connections can be closed.
	client, ok := buildable.Freeze().(*http.Client)
	if !ok {
		return nil, errors.New("configure S3: the SDK's HTTP client is of another kind than before")
	}
	objects := &store{client: newClient(cfg, client, a), bucket: a.bucket, prefix: a.prefix, hedge: newHedge()}
	return &Tier{Breaker: cache.NewBreaker(objects, breakerWindow), http: client, store: objects}, nil
}

func limit(t *http.Transport) {
	t.DialContext = (&net.Dialer{Timeout: dialTimeout}).DialContext
	t.TLSHandshakeTimeout = dialTimeout
	t.MaxConnsPerHost = connections
	t.MaxIdleConnsPerHost = connections
}

func newClient(cfg aws.Config, client *http.Client, a address) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.HTTPClient = client
		o.UsePathStyle = a.pathStyle
		if a.endpoint == "" {
			return
		}
		o.BaseEndpoint = &a.endpoint
		// Servers other than AWS often know no checksums; entries carry their own.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
}

func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff // with full jitter
		o.RateLimiter = newAllowance()
		o.RetryCost, o.RetryTimeoutCost, o.ThrottlingRetryCost = repeatCost, repeatCost, repeatCost
		o.NoRetryIncrement = repeatEarned
	})
}

// Close closes the connections that are not in use.
func (t *Tier) Close() error {
	t.http.CloseIdleConnections()
	return nil
}

// store is the tier without its breaker.
type store struct {
	client *s3.Client
	bucket string
	prefix string
	hedge  failsafe.Executor[[]byte] // nil to ask once
}

func (s *store) folder(source string) string { return s.prefix + flat(cache.SourcePath(source)) + "/" }

func (s *store) object(k cache.Key) string { return s.folder(k.Source) + cache.VariantName(k) }

func (s *store) Get(ctx context.Context, k cache.Key) (*cache.Entry, error) {
	data, err := s.read(ctx, s.object(k))
	if err != nil && !errors.Is(err, cache.ErrCorrupt) {
		return nil, err
	}
	var e *cache.Entry
	if err == nil {
		e, err = cache.Decode(k, data)
	}
	if err != nil {
		return nil, errors.Join(err, s.remove(ctx, s.object(k)))
	}
	return e, nil
}

// fetch asks once. What it returns without an error is not nil.
func (s *store) fetch(ctx context.Context, object string) ([]byte, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &object})
	var absent *types.NoSuchKey
	if errors.As(err, &absent) {
		return nil, cache.ErrMiss
	}
	if err != nil {
		return nil, fmt.Errorf("get from S3: %w", err)
	}
	defer func() { _ = out.Body.Close() }()
	var data bytes.Buffer
	if length := aws.ToInt64(out.ContentLength); length > 0 && length <= trustedLength {
		data.Grow(int(length) + bytes.MinRead) // room for the read that meets the end
	}
	if _, err := data.ReadFrom(io.LimitReader(out.Body, MaxEntry+1)); err != nil {
		return nil, fmt.Errorf("get from S3: %w", err)
	}
	if data.Len() > MaxEntry {
		return nil, fmt.Errorf("%w: larger than any that is stored", cache.ErrCorrupt)
	}
	if data.Len() == 0 {
		return nil, fmt.Errorf("%w: empty", cache.ErrCorrupt)
	}
	return data.Bytes(), nil
}

func (s *store) remove(ctx context.Context, object string) error {
	ctx, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &object}); err != nil {
		return fmt.Errorf("remove corrupt entry from S3: %w", err)
	}
	return nil
}

func (s *store) Set(ctx context.Context, k cache.Key, e *cache.Entry) error {
	if len(e.Body) > MaxEntry { // before it is copied
		return cache.ErrTooLarge
	}
	data := cache.Encode(k, e)
	if len(data) > MaxEntry {
		return cache.ErrTooLarge
	}
	ctx, cancel := context.WithTimeout(ctx, setTimeout)
	defer cancel()
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:        &s.bucket,
		Key:           aws.String(s.object(k)),
		Body:          bytes.NewReader(data),
		ContentLength: aws.Int64(int64(len(data))),
		ContentType:   aws.String("application/octet-stream"),
	})
	if err != nil {
		return fmt.Errorf("set in S3: %w", err)
	}
	return nil
}
