package s3

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"deckle/origin"
)

var _ origin.Walker = (*Store)(nil)

// Walk asks for a page of keys at a time. It tells of keys that are no id's to nobody.
func (s *Store) Walk(ctx context.Context, do func(id string) error) error {
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &s.prefix})
	for pages.HasMorePages() {
		page, err := s.page(ctx, pages)
		if err != nil {
			return err
		}
		for _, object := range page.Contents {
			id := strings.TrimPrefix(aws.ToString(object.Key), s.prefix)
			if origin.CheckID(id) != nil {
				continue
			}
			if err := do(id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) page(ctx context.Context, pages *s3.ListObjectsV2Paginator) (*s3.ListObjectsV2Output, error) {
	limited, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	page, err := pages.NextPage(limited)
	if err != nil {
		return nil, fault(ctx, "list", err)
	}
	return page, nil
}
