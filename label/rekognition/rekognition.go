// Package rekognition asks Amazon Rekognition for labels: objects and scenes, faces, celebrities, unsafe content and text.
package rekognition

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/rekognition"
	"github.com/aws/aws-sdk-go-v2/service/rekognition/types"
	"github.com/aws/smithy-go"

	"deckle/label"
)

// The detectors. Each is one call, is paid for by itself, and fails by itself.
const (
	Objects     = "objects"
	Faces       = "faces"
	Celebrities = "celebrities"
	Unsafe      = "unsafe"
	Text        = "text"
)

// Detectors returns the names of all detectors.
func Detectors() []string { return []string{Objects, Faces, Celebrities, Unsafe, Text} }

// Config is what a Service works with.
type Config struct {
	Region     string           // empty leaves it to the environment
	Endpoint   string           // URL of another server than AWS's; empty for AWS
	Detectors  []string         // [all]
	Thresholds label.Thresholds // labels of less confidence are not asked for where the service can leave them out, and not kept
	MaxObjects int              // labels of Objects [20]
	Timeout    time.Duration    // of one call [15 s]
}

// Service asks Rekognition. Credentials come from the places where all tools for AWS look for them: environment, shared files, the
// instance. Close it.
type Service struct {
	config Config
	client *rekognition.Client
	http   *http.Client
}

// New returns a service. Nothing is asked of it until it is used.
func New(ctx context.Context, c Config) (*Service, error) {
	if len(c.Detectors) == 0 {
		c.Detectors = Detectors()
	}
	for _, d := range c.Detectors {
		if !slices.Contains(Detectors(), d) {
			return nil, fmt.Errorf("the detector %q is none of %s", d, strings.Join(Detectors(), ", "))
		}
	}
	if c.MaxObjects <= 0 {
		c.MaxObjects = 20
	}
	if c.Timeout <= 0 {
		c.Timeout = 15 * time.Second
	}
	loaded, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(c.Region),
		// Whoever asks tries again, later than an SDK would wait.
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		config.WithHTTPClient(awshttp.NewBuildableClient()),
	)
	if err != nil {
		return nil, fmt.Errorf("configure Rekognition: %w", err)
	}
	if loaded.Region == "" {
		return nil, errors.New("configure Rekognition: no region, neither here nor in the environment")
	}
	s := &Service{config: c}
	s.client = rekognition.NewFromConfig(loaded, func(o *rekognition.Options) {
		if buildable, ok := loaded.HTTPClient.(*awshttp.BuildableClient); ok {
			// Frozen, it is an http.Client, whose connections can be closed.
			if client, ok := buildable.Freeze().(*http.Client); ok {
				s.http, o.HTTPClient = client, client
			}
		}
		if c.Endpoint != "" {
			o.BaseEndpoint = &c.Endpoint
		}
	})
	return s, nil
}

// Close closes the connections that are idle.
func (s *Service) Close() error {
	if s.http != nil {
		s.http.CloseIdleConnections()
	}
	return nil
}

// Labelers returns one labeler for each detector, named rekognition.objects and so on: when one fails the labels of the others stay,
// and only that one is asked again.
func (s *Service) Labelers() []label.Named {
	var all []label.Named
	for _, name := range s.config.Detectors {
		all = append(all, label.Named{Name: "rekognition." + name, Labeler: detector{s, calls[name]}})
	}
	return all
}

// detector is one of a service's calls.
type detector struct {
	service *Service
	call    func(*Service, context.Context, *types.Image) ([]label.Label, error)
}

var _ label.Labeler = detector{}

// Label sends the large rendering: its bytes, since the service can read no other store than its own.
func (d detector) Label(ctx context.Context, p label.Picture) ([]label.Label, error) {
	picture, err := p.Large(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.service.config.Timeout)
	defer cancel()
	labels, err := d.call(d.service, ctx, &types.Image{Bytes: picture})
	if err != nil {
		return nil, verdict(err)
	}
	if labels, err = label.Clean(labels); err != nil {
		return nil, err
	}
	return d.service.config.Thresholds.Keep(labels), nil
}

// about are the codes of errors that are about the picture: they stay as they are.
var about = []string{"InvalidImageFormatException", "ImageTooLargeException", "InvalidParameterException"}

// verdict says in one line what went wrong, without the request's id: reasons are counted and read.
func verdict(err error) error {
	var said smithy.APIError
	if !errors.As(err, &said) {
		return fmt.Errorf("ask rekognition: %w", err)
	}
	if slices.Contains(about, said.ErrorCode()) {
		return fmt.Errorf("%w: rekognition answers %s", label.ErrRefused, said.ErrorCode())
	}
	return fmt.Errorf("rekognition answers %s", said.ErrorCode())
}
