package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"deckle/ingest"
	"deckle/transform"

	"github.com/valyala/fasthttp"
)

// Hashes takes pictures in that are named by their bytes, and has variants made of them.
type Hashes interface {
	ReceiveHashed(ctx context.Context, upload ingest.HashedUpload) (ingest.Hashed, error)
	Fetch(ctx context.Context, url string) (io.ReadCloser, error)
	Ensure(ctx context.Context, id string, outputs []string, wait bool) (ingest.Job, error)
}

// processName is the last segment of a POST that asks for variants of a source.
const processName = "process"

// divert answers what is neither a picture's URL nor an upload with a token, and tells whether it did: uploads into namespaces,
// and the endpoints of other systems. Without any of them configured it looks at nothing.
func (p *Proxy) divert(ctx *fasthttp.RequestCtx, a *Access, path string) bool {
	if p.C2C != nil && p.c2c(ctx, a, path) || p.ImageStorage != nil && p.imageStorage(ctx, a, path) {
		return true
	}
	if p.ImageServer && path == statusCheck && !ctx.IsPost() {
		p.statusCheck(ctx)
		return true
	}
	if p.Hashes == nil || !ctx.IsPost() || !p.Namespaces.Some() {
		return false
	}
	name, err := decodePath(path)
	if err != nil {
		return false
	}
	id, last, hashed := p.Namespaces.split(name)
	switch {
	case hashed && last == processName:
		err = p.process(ctx, a, path, id)
	case hashed && p.ImageServer:
		err = errSidecar
	case p.Namespaces.has(name) && len(ctx.Request.Header.Peek("X-Token")) == 0:
		err = p.uploadHashed(ctx, a, path, name)
	default:
		return false
	}
	defer p.admitOrigin(ctx)
	if err != nil {
		p.discardBody(ctx)
		p.fail(ctx, a, err)
		ctx.SetConnectionClose() // what is left of the body is not read
	}
	return true
}

// hashedAnswer is the answer to an upload into a namespace.
type hashedAnswer struct {
	facts

	Outputs []outputAnswer `json:"outputs,omitempty"`
}

// outputAnswer is how far one variant is.
type outputAnswer struct {
	Name    string `json:"name"`
	Done    bool   `json:"done"`
	Job     string `json:"job,omitempty"` // in which it is being made
	Format  string `json:"format,omitempty"`
	Height  int    `json:"height,omitempty"` // pixels
	Width   int    `json:"width,omitempty"`  // pixels
	Quality int    `json:"quality,omitempty"`
	Bytes   int64  `json:"bytes,omitempty"`
	Error   string `json:"error,omitempty"`
}

// uploadHashed takes a picture into a namespace: POST /{ns} with it as the body, or with ?source=URL. outputs= names variants
// to make of it, and wait=true waits for them.
func (p *Proxy) uploadHashed(ctx *fasthttp.RequestCtx, a *Access, path, namespace string) error {
	if err := p.admitUpload(ctx, a, path); err != nil {
		return err
	}
	outputs, wait, err := p.outputs(ctx)
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(context.Background(), p.Timeout)
	defer cancel()
	body := requestBody(ctx)
	if source := string(ctx.QueryArgs().Peek("source")); source != "" {
		fetched, err := p.Hashes.Fetch(within, source)
		if err != nil {
			return err
		}
		defer func() { _ = fetched.Close() }() // it was only read
		body = fetched
	}
	upload := ingest.HashedUpload{Namespace: namespace, Body: body, Client: p.clientName(ctx)}
	upload.Policy.KeepMetadata = p.ImageServer // whose clients know the hash of what they send
	// A body may take as long as it comes fast enough; see incoming.
	hashed, err := p.Hashes.ReceiveHashed(context.Background(), upload)
	if err != nil {
		return err
	}
	a.Source = hashed.ID
	answer := hashedAnswer{facts: facts{hashed.Hash, hashed.Height, hashed.Width, hashed.Format.MediaType()}}
	if len(outputs) > 0 {
		job, err := p.makeOutputs(hashed.ID, outputs, wait)
		if err != nil {
			return err
		}
		answer.Outputs = jobAnswers(job)
	}
	if p.ImageServer {
		answer.Outputs = nil
	}
	p.answerJSON(ctx, answer)
	return nil
}

// process makes variants of a source that is there: POST /{ns}/h3/h3/h3/h23/process?outputs=. Asked again it says how far they are.
func (p *Proxy) process(ctx *fasthttp.RequestCtx, a *Access, path, id string) error {
	a.Source = id
	if err := p.admitUpload(ctx, a, path); err != nil {
		return err
	}
	outputs, wait, err := p.outputs(ctx)
	if err != nil {
		return err
	}
	job, err := p.makeOutputs(id, outputs, wait)
	if err != nil {
		return err
	}
	if p.ImageServer {
		ctx.Response.Header.Set(fasthttp.HeaderCacheControl, noStore)
		return nil
	}
	p.answerJSON(ctx, struct {
		Done    bool           `json:"done"`
		Outputs []outputAnswer `json:"outputs"`
	}{job.Done, jobAnswers(job)})
	return nil
}

// outputs reads which variants are asked for, each once, and whether to wait for them, which clients of image-server always do.
func (p *Proxy) outputs(ctx *fasthttp.RequestCtx) (names []string, wait bool, err error) {
	switch value := string(ctx.QueryArgs().Peek("wait")); value {
	case "", "false", "true":
		wait = value == "true" || p.ImageServer
	default:
		return nil, false, &transform.SpecError{Option: "wait", Value: bounded(value), Hint: "it is true or false"}
	}
	seen := map[string]bool{}
	for name := range strings.SplitSeq(string(ctx.QueryArgs().Peek("outputs")), ",") {
		if name == "" || seen[name] {
			continue
		}
		if _, err := p.ReadOutput(name); err != nil {
			return nil, false, fmt.Errorf("output %s: %w", bounded(name), err)
		}
		seen[name] = true
		names = append(names, name)
	}
	return names, wait, nil
}

// makeOutputs has variants made. A client of image-server is told of the first that could not be; others are told of each.
func (p *Proxy) makeOutputs(id string, outputs []string, wait bool) (ingest.Job, error) {
	within, cancel := context.WithTimeout(context.Background(), p.Timeout)
	defer cancel()
	job, err := p.Hashes.Ensure(within, id, outputs, wait)
	if err != nil || !p.ImageServer {
		return job, err
	}
	for _, output := range job.Outputs {
		if output.Err != nil {
			return job, output.Err
		}
	}
	return job, nil
}

// jobAnswers says how far the outputs of a job are.
func jobAnswers(job ingest.Job) []outputAnswer {
	list := []outputAnswer{}
	for _, o := range job.Outputs {
		said := outputAnswer{
			Name: o.Name, Done: o.Done, Job: o.Job, Format: o.Format, Height: o.Height, Width: o.Width, Quality: o.Quality, Bytes: o.Bytes,
		}
		if o.Err != nil {
			said.Error = problemOf(o.Err).Detail
		}
		list = append(list, said)
	}
	return list
}

// answerJSON answers 200: compact, or indented as image-server does.
func (p *Proxy) answerJSON(ctx *fasthttp.RequestCtx, value any) {
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, noStore)
	ctx.SetContentType(mediaJSON)
	if p.ImageServer {
		ctx.SetContentType(indentedJSON)
	}
	ctx.SetBody(spellJSON(value, p.ImageServer))
}

// spellJSON spells a value that holds nothing but text, numbers and lists of them, with a line break at its end.
func spellJSON(value any, indented bool) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	if indented {
		encoder.SetIndent("", "  ")
	}
	_ = encoder.Encode(value) // cannot fail for these
	return b.Bytes()
}

// requestBody is the body of a request as it comes, nothing of it read ahead.
func requestBody(ctx *fasthttp.RequestCtx) io.Reader {
	if stream := ctx.RequestBodyStream(); stream != nil {
		return Incoming(stream, ctx.Conn())
	}
	return bytes.NewReader(ctx.Request.Body())
}

// clientName names who uploads, for the bound on uploads of one client; empty for nobody in particular.
func (p *Proxy) clientName(ctx *fasthttp.RequestCtx) string {
	if network, ok := p.client(ctx); ok {
		return network.String()
	}
	return ""
}
