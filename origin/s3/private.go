package s3

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"deckle/origin"
)

// privateMark is the name of the metadata that private objects have. It comes with the object in one PUT, and HEAD tells it.
const privateMark = "deckle-private"

// maxCopy is the largest object that a server copies at one time, bytes
// (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html).
const maxCopy = 5 << 30

// marked tells whether an object is private. Whatever the mark says, its presence counts.
func marked(metadata map[string]string) bool {
	_, private := metadata[privateMark]
	return private
}

// headed describes an object by its headers.
func headed(head *s3.HeadObjectOutput) origin.Info {
	return describe(head.ETag, head.ContentLength, head.LastModified, head.Metadata)
}

// metadata is what an upload's object says of itself.
func (u *staged) metadata() map[string]string {
	said := map[string]string{uploadMark: u.mark}
	if u.private {
		said[privateMark] = "true"
	}
	return said
}

// maxSetPrivate bounds how often SetPrivate finds that the object has been replaced under its hands.
const maxSetPrivate = 3

// SetPrivate has the server copy the object onto itself with other metadata, in one step for all readers. The bytes, and with them
// the version, stay; of an object that was put in parts the server may change the version. What is replaced meanwhile is met anew.
func (s *Store) SetPrivate(ctx context.Context, id string, private bool) (origin.Info, error) {
	for try := 1; ; try++ {
		head, err := s.head(ctx, id)
		if err != nil || marked(head.Metadata) == private {
			return infoOf(head), err
		}
		err = s.rewrite(ctx, id, head, private)
		if err == nil {
			return s.Stat(ctx, id)
		}
		if status(err) != http.StatusPreconditionFailed || try == maxSetPrivate {
			return origin.Info{}, fault(ctx, "set private", err)
		}
	}
}

// infoOf is headed for what may be nil.
func infoOf(head *s3.HeadObjectOutput) origin.Info {
	if head == nil {
		return origin.Info{}
	}
	return headed(head)
}

func (s *Store) rewrite(ctx context.Context, id string, head *s3.HeadObjectOutput, private bool) error {
	if aws.ToInt64(head.ContentLength) > maxCopy {
		return errors.New("the object is too large to be copied by the server")
	}
	metadata := maps.Clone(head.Metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	if delete(metadata, privateMark); private {
		metadata[privateMark] = "true"
	}
	limited, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	_, err := s.client.CopyObject(limited, &s3.CopyObjectInput{
		Bucket: &s.bucket, Key: s.key(id),
		CopySource:        aws.String(fmt.Sprintf("%s/%s", s.bucket, (&url.URL{Path: *s.key(id)}).EscapedPath())),
		CopySourceIfMatch: head.ETag,
		MetadataDirective: types.MetadataDirectiveReplace,
		Metadata:          metadata,
		// A copy that replaces the metadata loses what it does not name.
		ContentType: head.ContentType, CacheControl: head.CacheControl, ContentDisposition: head.ContentDisposition,
		ContentEncoding: head.ContentEncoding, ContentLanguage: head.ContentLanguage,
	}, func(o *s3.Options) { o.HTTPClient = s.writes })
	return err
}
