package s3

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// address is what an s3:// URL says.
type address struct {
	bucket    string
	prefix    string // empty, or ends in a slash
	endpoint  string // empty for AWS
	region    string // empty to take it from the environment
	pathStyle bool
}

// parse reads s3://bucket/prefix?endpoint=URL&region=R&path_style=true.
func parse(text string) (address, error) {
	u, err := url.Parse(text)
	if err != nil {
		return address{}, errors.New("S3 URL: not a URL")
	}
	if u.Scheme != "s3" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return address{}, errors.New("S3 URL: want s3://bucket/prefix, with credentials from the environment")
	}
	a := address{bucket: u.Host, prefix: strings.Trim(u.Path, "/")}
	if a.prefix != "" {
		a.prefix += "/"
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return address{}, errors.New("S3 URL: the part after the question mark is not a query")
	}
	for name, values := range query {
		if err := a.set(name, values[len(values)-1]); err != nil {
			return address{}, err
		}
	}
	if a.endpoint != "" && !query.Has("path_style") {
		a.pathStyle = true // other servers than AWS rarely have a name for every bucket
	}
	return a, nil
}

func (a *address) set(name, value string) error {
	switch name {
	case "endpoint":
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return errors.New("S3 URL: endpoint must be an http:// or https:// URL")
		}
		a.endpoint = value
	case "region":
		a.region = value
	case "path_style":
		on, err := strconv.ParseBool(value)
		if err != nil {
			return errors.New("S3 URL: path_style must be true or false")
		}
		a.pathStyle = on
	default:
		return fmt.Errorf("S3 URL: unknown setting %q; known are endpoint, region and path_style", name)
	}
	return nil
}
