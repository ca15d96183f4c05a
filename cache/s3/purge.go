package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"deckle/cache"
)

var (
	_ cache.Sweeper = (*store)(nil)
	_ cache.Keeper  = (*store)(nil)
)

// slash stands in names for the slashes of an id, whose path has none of it: so an object is never deeper than in a folder of
// its source, whose name is no longer than an id. Servers that keep objects as files have bounds for both.
const slash = "!"

func flat(path string) string { return strings.ReplaceAll(path, "/", slash) }

func unflat(name string) string { return strings.ReplaceAll(name, slash, "/") }

// marksObject holds what Keep was given, beside the folders of sources.
const marksObject = "!marks"

// pageTimeout bounds listing and deleting a thousand objects in a Sweep.
const pageTimeout = 30 * time.Second

func (s *store) Purge(ctx context.Context, source string) error {
	ctx, cancel := context.WithTimeout(ctx, purgeTimeout)
	defer cancel()
	_, err := s.deleteBelow(ctx, s.folder(source), func(string) bool { return true })
	return err
}

// Sweep lists what is below the scope's path: a call for each thousand objects there, and another to delete them.
func (s *store) Sweep(ctx context.Context, scope cache.Scope) (removed int, err error) {
	below := s.prefix + flat(scope.Path())
	if source, one := scope.One(); one {
		below = s.folder(source)
	}
	return s.deleteBelow(ctx, below, func(object string) bool {
		source, ok := s.sourceOf(object)
		return ok && scope.Covers(source)
	})
}

// sourceOf returns the source whose entry an object is.
func (s *store) sourceOf(object string) (source string, ok bool) {
	folder, variant, found := strings.Cut(strings.TrimPrefix(object, s.prefix), "/")
	if !found || !cache.IsName(variant) {
		return "", false
	}
	return cache.SourceOf(unflat(folder))
}

// deleteBelow deletes the objects whose names begin with prefix and that which accepts.
func (s *store) deleteBelow(ctx context.Context, prefix string, which func(object string) bool) (removed int, err error) {
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		n, err := s.deletePage(ctx, pages, which)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func (s *store) deletePage(ctx context.Context, pages *s3.ListObjectsV2Paginator, which func(string) bool) (removed int, err error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	page, err := pages.NextPage(ctx)
	if err != nil {
		return 0, fmt.Errorf("list in S3: %w", err)
	}
	var objects []types.ObjectIdentifier
	for _, object := range page.Contents {
		if which(aws.ToString(object.Key)) {
			objects = append(objects, types.ObjectIdentifier{Key: object.Key})
		}
	}
	if removed, err = s.delete(ctx, objects); err != nil {
		return removed, fmt.Errorf("delete from S3: %w", err)
	}
	return removed, nil
}

// delete removes the objects of one page of a listing, which holds no more than one call can delete: a thousand.
func (s *store) delete(ctx context.Context, objects []types.ObjectIdentifier) (removed int, err error) {
	if len(objects) == 0 {
		return 0, nil
	}
	out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: &s.bucket, Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)},
	})
	if err != nil {
		return 0, err
	}
	if stay := len(out.Errors); stay > 0 {
		return len(objects) - stay, fmt.Errorf("%d of %d objects stay: %s", stay, len(objects), aws.ToString(out.Errors[0].Message))
	}
	return len(objects), nil
}

// Keep stores text as an object of its own.
func (s *store) Keep(ctx context.Context, text []byte) error {
	ctx, cancel := context.WithTimeout(ctx, setTimeout)
	defer cancel()
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.bucket, Key: aws.String(s.prefix + marksObject), Body: bytes.NewReader(text),
		ContentLength: aws.Int64(int64(len(text))), ContentType: aws.String("application/json"),
	})
	return err
}

// Kept returns what Keep stored.
func (s *store) Kept(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String(s.prefix + marksObject)})
	var absent *types.NoSuchKey
	if errors.As(err, &absent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Body.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(out.Body, cache.MaxKept))
}
