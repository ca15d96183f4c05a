package s3

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"deckle/origin"
)

// listTimeout bounds one page of a listing, all attempts together.
const listTimeout = 10 * time.Second

var (
	_ origin.Areas     = (*Store)(nil)
	_ origin.Presigner = (*Store)(nil)
)

// Room returns the objects of that area below s's prefix.
func (s *Store) Room(area origin.Area, _ string) (origin.Room, error) {
	room := *s
	room.prefix += area.Dir() + "/"
	return &room, nil
}

// Rooms returns the one there is.
func (s *Store) Rooms(area origin.Area) ([]origin.Room, error) {
	room, err := s.Room(area, "")
	return []origin.Room{room}, err
}

// List asks for a page of keys; the server takes no more than 1,000 at a time.
func (s *Store) List(ctx context.Context, after string, limit int) ([]origin.Listed, error) {
	limited, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	input := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &s.prefix, MaxKeys: aws.Int32(int32(min(limit, 1000)))}
	if after != "" {
		input.StartAfter = s.key(after)
	}
	listed, err := s.client.ListObjectsV2(limited, input)
	if err != nil {
		return nil, fault(ctx, "list", err)
	}
	var page []origin.Listed
	for _, object := range listed.Contents {
		id := strings.TrimPrefix(aws.ToString(object.Key), s.prefix)
		if origin.CheckID(id) == nil {
			page = append(page, origin.Listed{ID: id, Modified: aws.ToTime(object.LastModified)})
		}
	}
	return page, nil
}

// PresignPut signs with this process' credentials; a lifetime beyond that of temporary ones ends with them.
func (s *Store) PresignPut(ctx context.Context, id string, lifetime time.Duration) (string, http.Header, error) {
	if err := origin.CheckID(id); err != nil {
		return "", nil, err
	}
	signed, err := s3.NewPresignClient(s.client).PresignPutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.bucket, Key: s.key(id), IfNoneMatch: aws.String("*"),
	}, s3.WithPresignExpires(lifetime))
	if err != nil {
		return "", nil, fmt.Errorf("sign put: %w: %w", origin.ErrUnavailable, err)
	}
	header := http.Header{}
	for name, values := range signed.SignedHeader {
		if !strings.EqualFold(name, "Host") { // a browser sets it
			header[name] = values
		}
	}
	return signed.URL, header, nil
}
