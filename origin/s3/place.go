package s3

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// place is what the URL of a store says.
type place struct {
	bucket    string
	prefix    string // ends in a slash unless empty
	endpoint  string // empty for Amazon's
	region    string // empty for the environment's
	pathStyle bool
}

func parse(rawURL string) (place, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return place{}, errors.New("not a URL")
	case u.Scheme != "s3" || u.Host == "" || u.Port() != "":
		return place{}, errors.New("want s3://bucket/prefix")
	case u.User != nil || u.Fragment != "":
		return place{}, errors.New("a user or fragment in the URL; credentials come from the environment")
	}
	p := place{bucket: u.Host}
	if prefix := strings.Trim(u.Path, "/"); prefix != "" {
		p.prefix = prefix + "/"
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return place{}, errors.New("bad query")
	}
	for name, values := range query {
		if err := p.set(name, values[len(values)-1]); err != nil {
			return place{}, err
		}
	}
	if p.endpoint != "" && !query.Has("path_style") {
		p.pathStyle = true // compatible servers rarely have a host name for each bucket
	}
	return p, nil
}

func (p *place) set(name, value string) (err error) {
	switch name {
	case "endpoint":
		u, err := url.Parse(value)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return errors.New("endpoint: want http://host or https://host")
		}
		p.endpoint = value
	case "region":
		p.region = value
	case "path_style":
		if p.pathStyle, err = strconv.ParseBool(value); err != nil {
			return errors.New("path_style: want true or false")
		}
	default:
		return fmt.Errorf("unknown parameter %q; there are endpoint, region and path_style", name)
	}
	return nil
}

// locate says where the bucket is, as its URL does, or the environment.
func (p *place) locate(cfg *aws.Config) error {
	switch {
	case p.region != "":
		cfg.Region = p.region
	case cfg.Region != "":
	case p.endpoint != "":
		cfg.Region = "us-east-1" // what compatible servers take, or pass over
	default:
		return errors.New("no region; name it in the URL (region=eu-west-1) or in AWS_REGION")
	}
	return nil
}

func newClient(cfg aws.Config, p place, client *http.Client) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.HTTPClient = client
		o.UsePathStyle = p.pathStyle
		o.DisableLogOutputChecksumValidationSkipped = true
		if p.endpoint != "" {
			o.BaseEndpoint = aws.String(p.endpoint)
			// Many compatible servers do not know the checksums that the SDK adds of its own accord.
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
	})
}

// newHTTPClient returns a client with our limits and what the environment says of proxies and certificates.
func newHTTPClient(cfg aws.Config, answerTimeout time.Duration) *http.Client {
	environment, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		environment = awshttp.NewBuildableClient()
	}
	transport := environment.GetTransport()
	transport.DialContext = (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}).DialContext
	transport.TLSHandshakeTimeout = tlsTimeout
	transport.ResponseHeaderTimeout = answerTimeout
	transport.MaxConnsPerHost = maxConnections
	transport.MaxIdleConnsPerHost = maxConnections
	return &http.Client{
		Transport: transport,
		// The SDK follows what S3 means by a redirect, a bucket's region, itself.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
	})
}
