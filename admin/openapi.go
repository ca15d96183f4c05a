package admin

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

const description = `The operator's listener of Deckle: the right to upload pictures, what becomes of them, and what is kept of their renderings.

Ids have slashes; where one stands in a path its slashes may be written as they are. An answer about several things at once is 200 when all
of them were done, 207 when some were not (each of those has a problem of its own), and the problem itself when one alone was asked for.
Errors are application/problem+json (RFC 9457): field names the member of the request, detail says what to do.`

const (
	multi    = http.StatusMultiStatus
	missed   = http.StatusNotFound
	forbid   = http.StatusForbidden
	conflict = http.StatusConflict
	large    = http.StatusRequestEntityTooLarge
	away     = http.StatusServiceUnavailable
)

// routeGrants adds what gives out rights to upload.
func (a *Admin) routeGrants(d *api) {
	d.open("POST /token", a.token, describe(
		operation(http.MethodPost, "/token", "token", "uploads", "Allow one upload",
			"The members that are not named here are passed over. An API key may come as secret instead of in a header.", forbid, large, away),
		d.body(tokenRequest{}), d.answer(http.StatusOK, "The token", tokenAnswer{})))
	if a.Bulk == nil {
		return
	}
	op := operation(http.MethodPost, "/grants", "grants", "uploads", "Allow many uploads", "", forbid, large, away)
	op.MaxBodyBytes = maxGrantsRequest
	huma.Register(d, d.several(op, grantsAnswer{}), a.grant)
}

// routeSources adds what is done with sources.
func (a *Admin) routeSources(d *api) {
	if a.Sources == nil {
		return
	}
	many := func(path, id, summary, text string) huma.Operation {
		op := operation(http.MethodPost, path, id, "sources", summary, text, missed, forbid, conflict, large, away)
		op.MaxBodyBytes = sourcesRequest
		return d.several(op, resultsAnswer{})
	}
	one := func(method, path, id, summary, text string) huma.Operation {
		return operation(method, path, id, "sources", summary, text, missed, forbid, conflict, away)
	}
	huma.Register(d, many("/publish", "publish", "Publish", "Uploads that wait, and unpublished sources, are served from now on. Publishing twice does nothing more."), a.publish)
	huma.Register(d, many("/unpublish", "unpublish", "Unpublish", "The sources are kept where no viewer reaches them."), a.ofIDs("unpublish", a.Sources.Unpublish))
	huma.Register(d, many("/restore", "restore", "Restore", "Deleted sources come back, as long as they are kept."), a.ofIDs("restore", a.Sources.Restore))
	huma.Register(d, many("/delete", "deleteMany", "Delete many", "Bytes, records, and every rendering in every tier."), a.deleteMany)
	huma.Register(d, one(http.MethodPost, "/rotate", "rotate", "Rotate", "JPEG is turned without loss."), a.rotate)
	huma.Register(d, one(http.MethodPost, "/crop", "crop", "Crop", "A rectangle of the upright picture is kept."), a.crop)
	remove := one(http.MethodDelete, sourcePath, "deleteOne", "Delete", "As POST /delete of one.")
	remove.DefaultStatus = http.StatusNoContent
	huma.Register(d, remove, a.deleteOne)
	d.plain("PUT "+sourcePath, a.replace, describe(
		operation(http.MethodPut, sourcePath, "replace", "sources", "Replace", "The body is the new picture, streamed; its type is told by its bytes.", missed, large, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, away),
		idInPath, binaryBody, d.answer(http.StatusOK, "The new version", SourceReceipt{})))
	process := one(http.MethodPost, "/process", "process", "Render variants", "Stored in all tiers before anybody asks. 202 while they are being made: Location says where to ask.")
	process.Responses = map[string]*huma.Response{"202": {Description: "Under way", Content: d.json(jobAnswer{})}}
	huma.Register(d, process, a.process)
	huma.Register(d, one(http.MethodGet, "/jobs/{job}", "job", "How far renders are", ""), a.job)
}

// routeRecords adds what tells of sources.
func (a *Admin) routeRecords(d *api) {
	if a.Records == nil {
		return
	}
	huma.Register(d, operation(http.MethodGet, "/sources", "list", "sources", "List sources", "In the order of their ids.", away), a.list)
	huma.Register(d, operation(http.MethodGet, sourcePath, "known", "sources", "What is known of a source", "", missed, away), a.known)
}

// warmList is the JSON form of what POST /warm takes.
type warmList struct {
	Paths []string `json:"paths" example:"[\"/cat_300_200.webp\"]"`
}

// routeCaches adds what is done with renderings.
func (a *Admin) routeCaches(d *api) {
	if a.Purging != nil {
		d.plain("POST /purge", a.purge, describe(
			operation(http.MethodPost, "/purge", "purge", "caches", "Forget renderings", "On every node. Exactly one of source, prefix, tag and all is given.", large, http.StatusBadGateway),
			d.body(purgeRequest{}), d.answer(http.StatusOK, "What was done", PurgeReport{})))
	}
	if a.Warmer != nil {
		d.plain("POST /warm", a.warm, describe(
			operation(http.MethodPost, "/warm", "warm", "caches", "Render in advance", "A list of paths, an access log, or JSON. It answers when all is done and stops when the client leaves.", large),
			query("top", "integer", "The most frequent ones only."), query("rate", "number", "Requests a second."), query("concurrency", "integer", "Requests at one time, up to 1024."),
			d.body(warmList{}), textBody, d.answer(http.StatusOK, "What was done", WarmReport{})))
	}
}

// routeServer adds the probes and the metrics. Profiles are routed without being described: their format is pprof's.
func (a *Admin) routeServer(d *api, metrics http.Handler) {
	open := []map[string][]string{{}} // no key
	live := func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, probe{Status: "ok"}) }
	for _, p := range []struct {
		path, id, summary string
		handler           http.HandlerFunc
	}{{"/probe/live", "live", "Is the process alive", live}, {"/probe/ready", "ready", "Should this node get traffic", a.ready}} {
		op := describe(operation(http.MethodGet, p.path, p.id, "server", p.summary, ""), d.answer(http.StatusOK, "Yes", probe{}), d.answer(away, "No", probe{}))
		op.Security = open
		op.RejectUnknownQueryParameters = false // what watches a server may write anything there
		d.open("GET "+p.path, p.handler, op)
	}
	scrape := describe(operation(http.MethodGet, "/metrics", "metrics", "server", "Metrics for Prometheus", ""), text(http.StatusOK))
	scrape.RejectUnknownQueryParameters = false // likewise
	d.plain("GET /metrics", metrics.ServeHTTP, scrape)
}

// part adds something to the description of an operation.
type part func(*huma.Operation)

func describe(op huma.Operation, parts ...part) *huma.Operation {
	op.Responses = map[string]*huma.Response{}
	for _, add := range parts {
		add(&op)
	}
	return &op
}

// plain routes a handler that reads and writes by itself, for callers who may, and describes it.
func (d *api) plain(pattern string, handler http.HandlerFunc, op *huma.Operation) {
	d.mux.Handle(wide(pattern), d.admin.guarded(strict(op, handler)))
	d.describe(op)
}

// open is plain for everybody.
func (d *api) open(pattern string, handler http.HandlerFunc, op *huma.Operation) {
	d.mux.Handle(wide(pattern), strict(op, handler))
	d.describe(op)
}

// strict refuses a query that the description of an operation does not have, as huma does for its own: what is passed over
// would make a request do another thing than its client means.
func strict(op *huma.Operation, next http.HandlerFunc) http.Handler {
	if !op.RejectUnknownQueryParameters {
		return next // it reads the names by itself
	}
	var known []string
	for _, p := range op.Parameters {
		if p.In == "query" {
			known = append(known, p.Name)
		}
	}
	hint := "it is unknown; this operation has no query"
	switch last := len(known) - 1; {
	case last == 0:
		hint = "it is unknown; " + known[0] + " is known"
	case last > 0:
		hint = "it is unknown; " + strings.Join(known[:last], ", ") + " and " + known[last] + " are known"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		values, wrong := parsedQuery(r)
		if wrong != nil {
			send(w, wrong.Status, wrong.ContentType(""), wrong)
			return
		}
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if !slices.Contains(known, name) {
				refuseField(w, bounded(name), hint)
				return
			}
		}
		next(w, r)
	})
}

func (d *api) describe(op *huma.Operation) {
	for _, status := range op.Errors {
		if key := strconv.Itoa(status); op.Responses[key] == nil {
			op.Responses[key] = &huma.Response{Description: http.StatusText(status), Content: map[string]*huma.MediaType{
				"application/problem+json": {Schema: d.schema(problem{})},
			}}
		}
	}
	d.OpenAPI().AddOperation(op)
}

// several says that an operation on many things may be done in part.
func (d *api) several(op huma.Operation, body any) huma.Operation {
	op.Responses = map[string]*huma.Response{strconv.Itoa(multi): {Description: "Some of it was done", Content: d.json(body)}}
	return op
}

func (d *api) schema(v any) *huma.Schema {
	t := reflect.TypeOf(v)
	return d.OpenAPI().Components.Schemas.Schema(t, true, t.Name())
}

func (d *api) json(v any) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{"application/json": {Schema: d.schema(v)}}
}

func (d *api) body(v any) part {
	return func(op *huma.Operation) { op.RequestBody = &huma.RequestBody{Required: true, Content: d.json(v)} }
}

func (d *api) answer(status int, text string, v any) part {
	return func(op *huma.Operation) {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Description: text, Content: d.json(v)}
	}
}

func text(status int) part {
	return func(op *huma.Operation) {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Description: "Text", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: "string"}}}}
	}
}

func textBody(op *huma.Operation) {
	op.RequestBody.Content["text/plain"] = &huma.MediaType{Schema: &huma.Schema{Type: "string"}, Example: "/cat_300_200.webp\n"}
}

func binaryBody(op *huma.Operation) {
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/octet-stream": {Schema: &huma.Schema{Type: "string", Format: "binary"}},
	}}
}

func query(name, kind, text string) part { return parameter(name, "query", kind, text) }

func pathParameter(name, text string) part { return parameter(name, "path", "string", text) }

func idInPath(op *huma.Operation) { pathParameter("id", "The source's id.")(op) }

func parameter(name, in, kind, text string) part {
	return func(op *huma.Operation) {
		op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: in, Description: text, Required: in == "path", Schema: &huma.Schema{Type: kind}})
	}
}

// openAPI answers GET /openapi.json. The description is written when somebody asks for it first: a start does not wait for it.
func openAPI(d *api) http.HandlerFunc {
	written := sync.OnceValues(func() ([]byte, error) { return json.Marshal(d.OpenAPI()) })
	return func(w http.ResponseWriter, _ *http.Request) {
		text, err := written()
		if err != nil {
			refuse(w, http.StatusInternalServerError, "The description cannot be written.")
			return
		}
		write(w, http.StatusOK, "application/openapi+json", text)
	}
}
