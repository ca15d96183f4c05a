package s3

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"deckle/origin"
)

// uploadMark is the name of the metadata that tells whose upload an object is.
const uploadMark = "deckle-upload"

// maxConflicts bounds how often a Commit meets another one to the same key that has not ended.
const maxConflicts = 5

// staged is an upload in a local file.
type staged struct {
	store *Store
	file  *os.File
	hash  hash.Hash // SHA-256 of what was written
	size  int64     // bytes
	mark  string    // drawn for this upload
	ended bool      // committed or aborted

	private bool
}

// Stage opens room for a new source on the local disk. The server hears of it at Commit.
func (s *Store) Stage(ctx context.Context) (origin.Staged, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "deckle-upload-*")
	if err != nil {
		return nil, origin.StoreFault("stage object", err)
	}
	return &staged{store: s, file: f, hash: sha256.New(), mark: rand.Text()}, nil
}

func (u *staged) Write(p []byte) (int, error) {
	n, err := u.file.Write(p)
	u.hash.Write(p[:n])
	u.size += int64(n)
	if err != nil {
		return n, origin.StoreFault("write upload", err)
	}
	return n, nil
}

func (u *staged) Path() string { return u.file.Name() }

func (u *staged) SetPrivate(private bool) { u.private = private }

// Commit puts the object. The server checks the bytes against their SHA-256 before it stores them. An error after the last
// byte was sent leaves open whether it did; then the object itself is asked whose it is. An error of this method means that
// it was not ours when asked, or could not be asked.
func (u *staged) Commit(ctx context.Context, id string, replace bool) (origin.Info, error) {
	if err := origin.CheckID(id); err != nil {
		return origin.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return origin.Info{}, err
	}
	for conflicts := 0; ; conflicts++ {
		info, err := u.put(ctx, id, replace)
		if status(err) != http.StatusConflict || conflicts == maxConflicts {
			return info, err
		}
		// Another conditional write to the key is under way; whether it wins is known when it has ended.
		select {
		case <-time.After(50 * time.Millisecond << conflicts):
		case <-ctx.Done():
			return origin.Info{}, ctx.Err()
		}
	}
}

func (u *staged) put(ctx context.Context, id string, replace bool) (origin.Info, error) {
	if _, err := u.file.Seek(0, 0); err != nil {
		return origin.Info{}, fmt.Errorf("commit object: %w: %w", origin.ErrUnavailable, err)
	}
	input := &s3.PutObjectInput{
		Bucket:         &u.store.bucket,
		Key:            u.store.key(id),
		Body:           u.file,
		ContentLength:  &u.size,
		ContentType:    aws.String("application/octet-stream"),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(u.hash.Sum(nil))),
		Metadata:       u.metadata(),
	}
	if !replace {
		input.IfNoneMatch = aws.String("*")
	}
	limited, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	put, err := u.store.client.PutObject(limited, input, func(o *s3.Options) { o.HTTPClient = u.store.writes })
	if err != nil {
		return u.settle(ctx, id, replace, err)
	}
	u.drop()
	return u.describe(ctx, id, put), nil
}

// settle finds out what became of a put that ended in an error: a lost answer, or a repetition that met its own first
// attempt, are errors of puts that were stored.
func (u *staged) settle(ctx context.Context, id string, replace bool, putErr error) (origin.Info, error) {
	head, err := u.store.head(context.WithoutCancel(ctx), id)
	if err == nil && head.Metadata[uploadMark] == u.mark {
		u.drop()
		return headed(head), nil
	}
	switch code := status(putErr); {
	case code == http.StatusPreconditionFailed, code == http.StatusConflict && !replace && err == nil:
		return origin.Info{}, origin.ErrExists
	case code == http.StatusNotFound:
		// There is no bucket. It is not the source that was not found.
		return origin.Info{}, fmt.Errorf("commit object: %w: %w", origin.ErrUnavailable, putErr)
	}
	return origin.Info{}, fault(ctx, "commit", putErr)
}

// describe returns what Stat will say of the object that was put. Only the server knows when it did that.
func (u *staged) describe(ctx context.Context, id string, put *s3.PutObjectOutput) origin.Info {
	now := time.Now()
	info := describe(put.ETag, &u.size, &now, u.metadata())
	if found, err := u.store.Stat(ctx, id); err == nil && found.Version == info.Version {
		return found
	}
	return info // replaced already, or not to be asked: stored all the same
}

// drop gives the local file back.
func (u *staged) drop() {
	u.ended = true
	_ = u.file.Close()
	_ = os.Remove(u.file.Name())
}

func (u *staged) Abort() error {
	if u.ended {
		return nil
	}
	u.ended = true
	if err := errors.Join(u.file.Close(), os.Remove(u.file.Name())); err != nil {
		return fmt.Errorf("abort upload: %w", err)
	}
	return nil
}

// Delete removes an object. The server removes nothing just as gladly, so it is asked first.
func (s *Store) Delete(ctx context.Context, id string) error {
	if _, err := s.head(ctx, id); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	if _, err := s.client.DeleteObject(limited, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.key(id)}); err != nil {
		return fault(ctx, "delete", err)
	}
	return nil
}
