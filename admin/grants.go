package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"deckle/ingest"
	"deckle/proxy"
	"deckle/transform"
)

// Bulk gives out the rights to upload many sources.
type Bulk interface {
	OutputChecker
	Grants(ctx context.Context, requests []ingest.GrantRequest) ([]ingest.GrantResult, error)
	SignPut(ctx context.Context, token string) (ingest.SignedPut, error)
}

// EdgeURLs says how clients reach the edge.
type EdgeURLs struct {
	Base   string                                                     // put before the paths of the edge; empty for paths alone
	Sign   func(method, path, scope string, expires time.Time) string // nil when uploads need no signature
	MaxAge time.Duration                                              // how far ahead the end of a signature may lie
}

// The bounds of a grants request.
const (
	maxGrants        = 1000
	maxGrantsRequest = 16 << 20 // bytes: a policy may hold 8 KiB of data
)

type grantsRequest struct {
	Grants []grantRequest `json:"grants" minItems:"1" maxItems:"1000" doc:"Each is answered for itself."`
}

type grantRequest struct {
	ID      string        `json:"id,omitempty" maxLength:"255" example:"shop/cat" doc:"The id of the source to come; one is minted when it is missing."`
	Replace bool          `json:"replace,omitempty" doc:"The upload may take the place of the source that has the id."`
	Policy  policyRequest `json:"policy,omitempty"`
}

// policyRequest is ingest.Policy as clients write it.
type policyRequest struct {
	MaxBytes     int64          `json:"max_bytes,omitempty" minimum:"1" doc:"Most bytes of the body; the server's own limit is never exceeded."`
	MaxPixels    int64          `json:"max_pixels,omitempty" minimum:"1" doc:"Most pixels, width by height; likewise."`
	Formats      []string       `json:"formats,omitempty" maxItems:"16" example:"[\"jpeg\",\"png\"]" doc:"Formats that may come; all when none is named."`
	TTL          int64          `json:"ttl,omitempty" minimum:"1" maximum:"31536000" doc:"For how long the right is good, seconds; the server's --token-lifetime unless given."`
	Crop         *Rectangle     `json:"crop,omitempty" doc:"What is kept of the upright picture, whatever the upload asks for."`
	Private      bool           `json:"private,omitempty" doc:"The source is seen on the edge with a signed URL only."`
	Publish      string         `json:"publish,omitempty" enum:"now,later" default:"now" doc:"later keeps the upload where no viewer reaches it until POST /publish."`
	KeepMetadata bool           `json:"keep_metadata,omitempty" doc:"Keep EXIF, XMP and comments, which may tell where a picture was taken."`
	Whole        bool           `json:"whole,omitempty" doc:"Decode the upload to its end, and refuse what is broken or truncated."`
	Outputs      []string       `json:"outputs,omitempty" maxItems:"32" example:"[\"300x300.webp\"]" doc:"Variants that are rendered as soon as the source is published."`
	Data         map[string]any `json:"data,omitempty" doc:"A JSON object of at most 8 KiB, kept with the record."`
	Name         string         `json:"name,omitempty" maxLength:"256" doc:"For people."`
	Tags         []string       `json:"tags,omitempty" maxItems:"32"`
}

// Rectangle is a part of an upright picture, pixels. It has a public name, as huma passes over embedded types without one.
type Rectangle struct {
	X      int `json:"x" minimum:"0" maximum:"1000000"`
	Y      int `json:"y" minimum:"0" maximum:"1000000"`
	Width  int `json:"width" minimum:"1" maximum:"1000000"`
	Height int `json:"height" minimum:"1" maximum:"1000000"`
}

func (r *Rectangle) crop() transform.Crop {
	if r == nil {
		return transform.Crop{}
	}
	return transform.Crop{X: r.X, Y: r.Y, W: r.Width, H: r.Height}
}

type grantsAnswer struct {
	Grants []grantAnswer `json:"grants" doc:"In the order of the request."`
}

type grantAnswer struct {
	ID      string    `json:"id"`
	Token   string    `json:"token,omitempty" doc:"The secret of the grant: one use, kept nowhere else."`
	Expires time.Time `json:"expires,omitzero"`
	Post    *way      `json:"post,omitempty" doc:"To the edge: the picture as the body or as the part image of multipart/form-data."`
	Put     *way      `json:"put,omitempty" doc:"The picture as the body, to the store itself where it takes that, else to the edge."`
	Problem *problem  `json:"problem,omitempty" doc:"Why this grant was not given."`
}

// way is a request that uploads a picture: send the headers as they are, and what confirm says afterwards if it is there.
// The last answer is the receipt.
type way struct {
	Method  string            `json:"method"`
	URL     string            `json:"url" doc:"Relative to the edge unless the server knows its own URL."`
	Headers map[string]string `json:"headers,omitempty"`
	Confirm *way              `json:"confirm,omitempty"`
}

// grant answers POST /grants.
func (a *Admin) grant(ctx context.Context, asked *struct{ Body grantsRequest }) (*said[grantsAnswer], error) {
	const operation = "grants"
	requests := make([]ingest.GrantRequest, len(asked.Body.Grants))
	for i, g := range asked.Body.Grants {
		policy, wrong := a.policyOf(&g.Policy)
		if wrong != nil {
			wrong.Field = field("grants", i, wrong.Field)
			return nil, wrong
		}
		policy.Replace = g.Replace
		requests[i] = ingest.GrantRequest{ID: g.ID, Replace: g.Replace, Policy: policy}
	}
	results, err := a.Bulk.Grants(ctx, requests)
	if err != nil {
		return nil, a.problemOf(operation, "grants", err)
	}
	body, all := grantsAnswer{make([]grantAnswer, len(results))}, true
	for i, result := range results {
		if result.Err == nil {
			body.Grants[i] = a.ways(ctx, result.Grant)
			continue
		}
		all = false
		body.Grants[i] = grantAnswer{ID: requests[i].ID, Problem: a.problemOf(operation, field("grants", i, "id"), result.Err)}
	}
	if len(results) == 1 && !all {
		return nil, body.Grants[0].Problem
	}
	return settle(all, body), nil
}

// policyOf reads the policy of a request, whose outputs have to be such as can be made.
func (a *Admin) policyOf(asked *policyRequest) (ingest.Policy, *problem) {
	policy, wrong := asked.policy()
	if wrong == nil {
		wrong = a.checkOutputs(a.Bulk, policy.Outputs)
	}
	if wrong != nil {
		wrong.Field = "policy." + wrong.Field
	}
	return policy, wrong
}

// policy reads the request; wrong names a member of it.
func (p *policyRequest) policy() (ingest.Policy, *problem) {
	policy := ingest.Policy{
		MaxBytes: p.MaxBytes, MaxPixels: p.MaxPixels, Crop: p.Crop.crop(), Private: p.Private, Later: p.Publish == "later",
		KeepMetadata: p.KeepMetadata, Whole: p.Whole, Outputs: p.Outputs, Name: p.Name, Tags: p.Tags, TTL: time.Duration(p.TTL) * time.Second,
	}
	for i, name := range p.Formats {
		f, known := formatNamed(name)
		if !known {
			return policy, fieldProblem(field("formats", i, ""), "it is no format of a picture, as in jpeg, png or webp")
		}
		policy.Formats = append(policy.Formats, f)
	}
	if p.Data != nil {
		policy.Data, _ = json.Marshal(p.Data) // it was JSON
	}
	return policy, nil
}

// formatNamed knows a format by its name or one of its extensions.
func formatNamed(name string) (transform.Format, bool) {
	for f := transform.JPEG; f <= transform.SVG; f++ {
		if f.String() == name {
			return f, true
		}
	}
	f, known := transform.FormatByExt(name)
	return f, known && f != transform.Auto
}

// ways says how a grant can be used.
func (a *Admin) ways(ctx context.Context, g ingest.Grant) grantAnswer {
	path, token := proxy.UploadPath(g.ID), map[string]string{proxy.TokenHeader: g.Token}
	to := func(method string) *way {
		return &way{Method: method, URL: a.Edge.url(method, path, g.Expires), Headers: token}
	}
	answer := grantAnswer{ID: g.ID, Token: g.Token, Expires: g.Expires, Post: to(http.MethodPost)}
	put, err := a.Bulk.SignPut(ctx, g.Token)
	if err != nil {
		if !errors.Is(err, ingest.ErrUnsigned) {
			a.Log.Warn("the store's own signed PUT is not offered", slog.Any("cause", err))
		}
		answer.Put = to(http.MethodPut)
		return answer
	}
	headers := make(map[string]string, len(put.Header))
	for name, values := range put.Header {
		headers[name] = strings.Join(values, ", ")
	}
	answer.Put = &way{Method: http.MethodPut, URL: put.URL, Headers: headers, Confirm: &way{
		Method: http.MethodPost, URL: a.Edge.Base + proxy.ConfirmPath, Headers: token,
	}}
	return answer
}

// url returns the address of an upload, signed where that is wanted, for as long as signatures may be good.
func (e *EdgeURLs) url(method, path string, expires time.Time) string {
	if e.Sign == nil {
		return e.Base + path
	}
	if latest := time.Now().Add(e.MaxAge); expires.After(latest) {
		expires = latest
	}
	return e.Base + path + "?" + e.Sign(method, decoded(path), "", expires)
}

// decoded undoes the percent-encoding of a path of ours.
func decoded(path string) string {
	plain, _ := url.PathUnescape(path) // we encoded it
	return plain
}

// field names a member of the i-th of a list.
func field(list string, i int, member string) string {
	name := list + "[" + strconv.Itoa(i) + "]"
	if member != "" {
		name += "." + member
	}
	return name
}
