package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"deckle/archive"
	"deckle/catalog"
	"deckle/ingest"

	"github.com/danielgtaylor/huma/v2"
)

// Importer brings pictures back, and makes records of those that have none.
type Importer interface {
	Import(ctx context.Context, r ingest.Restoration) (done ingest.Restored, id string, err error)
	Index(ctx context.Context, dry bool, progress func(ingest.Indexed)) (ingest.Indexed, error)
}

// Archives is what exports and imports work with. Images is wanted beside it.
type Archives struct {
	Sources      Importer
	Dir          string // where what is under way is kept, in files without a name
	MaxBytes     int64  // of an archive that is imported
	PictureBytes int64  // of a picture in one
}

// importsAtOnce bounds the archives that are on the disk at one time.
const importsAtOnce = 2

// ndjson is the media type of answers that say how far it is, one JSON object a line.
const ndjson = "application/x-ndjson"

// routeArchives adds what takes pictures out and in by many.
func (a *Admin) routeArchives(d *api) {
	if a.Archives == nil || a.Images == nil {
		return
	}
	a.imports = make(chan struct{}, importsAtOnce)
	zip := func(op *huma.Operation) {
		op.Responses[strconv.Itoa(http.StatusOK)] = &huma.Response{
			Description: "A zip file, whole when the connection ends as HTTP says. The trailers Deckle-Pictures and Deckle-Failed count.",
			Content:     map[string]*huma.MediaType{"application/zip": {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
		}
	}
	export := queried(libraryOperation(http.MethodGet, "/export", "export", "Take pictures out",
		"Files, records (data.jsonl) and a table (data.csv) of all pictures that fit everything that is asked. Those whose bytes cannot be had are in errors.jsonl."),
		func(n queryName) bool { return !n.pages && n.name != "all" })
	d.plain("GET /export", a.exportArchive, describe(export, zip))
	in := libraryOperation(http.MethodPost, "/import", "import", "Bring pictures in",
		"The body is an archive of ours, of image-storage-service, or a zip file of pictures; or the part archive of a form. Running it again goes on where it was broken off.",
		large, conflict, http.StatusInsufficientStorage)
	d.plain("POST /import", a.importArchive, describe(in, append(importParameters(), binaryBody,
		d.answer(http.StatusOK, "All pictures are there", importReport{}), d.answer(multi, "Some are", importReport{}))...))
	index := operation(http.MethodPost, "/index", "index", "sources", "Make missing records",
		"Of sources that have none, and says which records have no bytes. With Accept: "+ndjson+" it says how far it is meanwhile.", away, forbid)
	d.plain("POST /index", a.index, describe(index,
		query("dry_run", "boolean", "Say what would be done."), d.answer(http.StatusOK, "What was done", indexReport{})))
}

func importParameters() []part {
	return []part{
		query("existing", "string", "What becomes of pictures that are there already, with other bytes: skip (unless given), replace, or fail. With replace records become as in the archive, too."),
		query("dry_run", "boolean", "Say what would be done."),
		query("data", "string", "A JSON object whose members are set in the data of every picture."),
		query("owner", "string", "Whose pictures they will be, where the archive does not say it."),
	}
}

// index answers POST /index.
func (a *Admin) index(w http.ResponseWriter, r *http.Request) {
	dry, wrong := dryRun(r)
	if wrong != nil {
		a.refuseProblem(w, wrong)
		return
	}
	out := newProgress(w, r)
	found, err := a.Archives.Sources.Index(r.Context(), dry, func(f ingest.Indexed) { out.tell(a.indexed(f, dry, false)) })
	if err != nil {
		out.fail(a, a.problemOf("index", "", err))
		return
	}
	out.end(http.StatusOK, a.indexed(found, dry, true))
}

// indexReport is what an index found, and did.
type indexReport struct {
	Sources  int               `json:"sources" doc:"That the store holds."`
	Adopted  int               `json:"adopted" doc:"That had no record, and have one now; with dry_run they would."`
	Failed   int               `json:"failed" doc:"That cannot have one."`
	Failures map[string]string `json:"failures,omitempty" doc:"Why, by id: up to 1000."`
	Missing  int               `json:"missing" doc:"Records of which the store has no bytes."`
	IDs      []string          `json:"missing_ids,omitempty" doc:"Up to 1000."`
	DryRun   bool              `json:"dry_run"`
}

// indexed words what was found; what failed is told at the end only, since it grows meanwhile.
func (a *Admin) indexed(f ingest.Indexed, dry, end bool) indexReport {
	r := indexReport{Sources: f.Sources, Adopted: f.Adopted, Failed: f.Failed, Missing: f.Missing, IDs: f.IDs, DryRun: dry}
	if end && len(f.Failures) > 0 {
		r.Failures = make(map[string]string, len(f.Failures))
		for id, err := range f.Failures {
			r.Failures[id] = a.problemOf("index", "id", err).Detail
		}
	}
	return r
}

func dryRun(r *http.Request) (bool, *problem) {
	switch r.URL.Query().Get("dry_run") {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, fieldProblem("dry_run", "it is true or false")
}

// progress answers a request that takes long: one JSON object at the end, or for clients that accept it lines that say how far it
// is, and the same object as the last line.
type progress struct {
	w     http.ResponseWriter
	lines bool
	last  time.Time
}

// tellEvery is how often a client hears how far it is.
const tellEvery = 500 * time.Millisecond

func newProgress(w http.ResponseWriter, r *http.Request) *progress {
	p := &progress{w: w, lines: r.Header.Get("Accept") == ndjson}
	if p.lines {
		h := w.Header()
		h.Set("Content-Type", ndjson)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
	}
	return p
}

// tell says how far it is, now and then.
func (p *progress) tell(v any) {
	if now := time.Now(); p.lines && now.Sub(p.last) >= tellEvery {
		p.last = now
		p.line(map[string]any{"progress": v})
	}
}

func (p *progress) line(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		return
	}
	_, _ = p.w.Write(append(text, '\n'))        // the client may have left
	_ = http.NewResponseController(p.w).Flush() // likewise
}

func (p *progress) end(status int, v any) {
	if p.lines {
		p.line(map[string]any{"report": v})
		return
	}
	answer(p.w, status, v)
}

func (p *progress) fail(a *Admin, wrong *problem) {
	if p.lines && !p.last.IsZero() {
		p.line(map[string]any{"problem": wrong})
		return
	}
	p.w.Header().Del("Content-Type")
	a.refuseProblem(p.w, wrong)
}

// archived is a record as archives have it.
func archived(r catalog.Record) archive.Picture {
	p := archive.Picture{
		ID: r.ID, File: r.File, Time: r.Time, Name: r.Name, Tags: r.Tags, Owner: r.Owner, Private: r.Private, Data: json.RawMessage(r.Data),
		Created: r.Created, Updated: r.Updated, SHA256: r.SHA256, MD5: r.MD5, Bytes: r.Bytes, Format: r.Format, Width: r.Width, Height: r.Height,
		Placeholder: r.Placeholder, Version: r.Version,
	}
	for _, l := range r.Labels {
		p.Labels = append(p.Labels, archive.Label{Name: l.Name, Category: l.Category, Confidence: l.Confidence, Source: l.Source})
	}
	return p
}

// unarchived is archived the other way round.
func unarchived(p archive.Picture) catalog.Record {
	r := catalog.Record{
		ID: p.ID, File: p.File, Time: p.Time, Name: p.Name, Tags: p.Tags, Owner: p.Owner, Private: p.Private, Data: string(p.Data),
		Created: p.Created, Updated: p.Updated, SHA256: p.SHA256, MD5: p.MD5, Bytes: p.Bytes, Format: p.Format, Width: p.Width, Height: p.Height,
		Placeholder: p.Placeholder,
	}
	for _, l := range p.Labels {
		r.Labels = append(r.Labels, catalog.Label{Name: l.Name, Category: l.Category, Confidence: l.Confidence, Source: l.Source})
	}
	return r
}
