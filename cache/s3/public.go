package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	lru "github.com/hashicorp/golang-lru/v2"

	"deckle/cache"
)

// publicFolder is below the tier's prefix. No source's folder begins with its first byte.
const publicFolder = "!public/"

const (
	// believed is how long a copy that was seen is taken to be there still.
	believed = 5 * time.Second
	// findTimeout bounds the look for a copy, repetitions included: a viewer waits for it.
	findTimeout = 500 * time.Millisecond
	// restTime is how long nothing is looked for after a look that failed.
	restTime  = time.Second
	maxCopies = 65536 // remembered
)

// Public keeps a plain copy of every picture that is set, one that viewers fetch from the bucket, or a CDN before it, without
// Deckle: the object <prefix>/!public/<folder of the source>/<cache.VariantName>. As a layer of a cache.Chain it gives nothing
// back, and takes part in purges. It has to stand behind memory and before the tiers that outlive the process, so that what
// is found in those is set here too.
type Public struct {
	store   *store
	control string // Cache-Control of the copies
	known   *lru.Cache[cache.Key, time.Time]
	rest    atomic.Int64 // until when nothing is asked, Unix nanoseconds
}

var (
	_ cache.Tier    = (*Public)(nil)
	_ cache.Sweeper = (*Public)(nil)
)

// Public returns the copies of t's bucket, which share its connections. They may be kept as control says.
func (t *Tier) Public(control string) (*Public, error) {
	known, err := lru.New[cache.Key, time.Time](maxCopies)
	if err != nil {
		return nil, err
	}
	below := &store{client: t.store.client, bucket: t.store.bucket, prefix: t.store.prefix + publicFolder}
	return &Public{store: below, control: control, known: known}, nil
}

// Find returns where the copy of k is, as a path below the folder of all copies, percent-encoded, when it is known to be there:
// seen within the last 5 seconds, or by a look now that takes half a second at most. A bucket that cannot be asked has no copies.
func (p *Public) Find(ctx context.Context, k cache.Key) (path string, ok bool) {
	now := time.Now()
	if k.Private() {
		return "", false
	}
	if seen, found := p.known.Get(k); (!found || now.Sub(seen) > believed) && !p.look(ctx, k, now) {
		return "", false
	}
	return url.PathEscape(flat(cache.SourcePath(k.Source))) + "/" + cache.VariantName(k), true
}

func (p *Public) look(ctx context.Context, k cache.Key, now time.Time) bool {
	if now.UnixNano() < p.rest.Load() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	_, err := p.store.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &p.store.bucket, Key: aws.String(p.store.object(k))})
	if err == nil {
		p.known.Add(k, now)
		return true
	}
	p.known.Remove(k)
	var answer *awshttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() != http.StatusNotFound {
		p.rest.Store(now.Add(restTime).UnixNano())
	}
	return false
}

// Get returns cache.ErrMiss.
func (*Public) Get(context.Context, cache.Key) (*cache.Entry, error) { return nil, cache.ErrMiss }

// Set stores the picture alone, unless it is there, or private.
func (p *Public) Set(ctx context.Context, k cache.Key, e *cache.Entry) error {
	if k.Private() || p.look(ctx, k, time.Now()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, setTimeout)
	defer cancel()
	_, err := p.store.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &p.store.bucket, Key: aws.String(p.store.object(k)), Body: bytes.NewReader(e.Body),
		ContentLength: aws.Int64(int64(len(e.Body))), ContentType: &e.ContentType, CacheControl: &p.control,
	})
	if err != nil {
		return fmt.Errorf("set public copy in S3: %w", err)
	}
	return nil
}

// Purge removes the copies of a source.
func (p *Public) Purge(ctx context.Context, source string) error {
	p.known.Purge()
	defer p.known.Purge() // what was seen meanwhile
	return p.store.Purge(ctx, source)
}

// Sweep removes the copies of the sources within s.
func (p *Public) Sweep(ctx context.Context, s cache.Scope) (removed int, err error) {
	p.known.Purge()
	defer p.known.Purge()
	return p.store.Sweep(ctx, s)
}
