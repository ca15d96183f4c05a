package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"sync"
	"time"

	"deckle/archive"
	"deckle/ingest"
	"deckle/origin"
	"deckle/proxy"
	"deckle/transform"

	"golang.org/x/sync/errgroup"
)

const (
	// importWorkers restore pictures at one time: each waits for the disk most of the time.
	importWorkers = 4
	// importTries is how often a picture is tried while the store or the records are away, and importPause the first pause of all.
	importTries = 4
	importPause = 250 * time.Millisecond
	// importPatience is how long a picture waits that somebody else is changing: one that has died, in the midst of an import
	// too, loses the right to do so after half a minute (ingest.Config.Lease).
	importPatience = 45 * time.Second
	// maxImportFailures bounds those that a report names; all are counted. maxAway is how many in a row may find nobody there
	// before the import is given up.
	maxImportFailures = 1000
	maxAway           = 8
	maxImportFields   = 1 << 20 // bytes
)

// importFailure is a picture that was not imported.
type importFailure struct {
	Path  string `json:"path,omitempty" doc:"In the archive."`
	ID    string `json:"id,omitempty"`
	Error string `json:"error"`
}

// importReport says what an import did.
type importReport struct {
	Pictures int             `json:"pictures" doc:"That the archive has, about; exact at the end."`
	Imported int             `json:"imported"`
	Replaced int             `json:"replaced"`
	There    int             `json:"there" doc:"That were there already."`
	Kept     int             `json:"kept" doc:"That are there otherwise, and stay so."`
	Passed   int             `json:"passed_over" doc:"Files of a plain zip that are no pictures."`
	Failed   int             `json:"failed"`
	Failures []importFailure `json:"failures,omitempty" doc:"The first 1000."`
	DryRun   bool            `json:"dry_run"`
}

func (r importReport) done() int {
	return r.Imported + r.Replaced + r.There + r.Kept + r.Passed + r.Failed
}

// importOrder is how an archive is to be imported.
type importOrder struct {
	existing ingest.Existing
	dry      bool
	data     map[string]json.RawMessage // set in every picture's
	owner    string                     // where the archive says none, or where confined
	confined bool                       // to that owner
}

var existingWays = map[string]ingest.Existing{
	"": ingest.KeepExisting, "skip": ingest.KeepExisting, "replace": ingest.ReplaceExisting, "fail": ingest.RefuseExisting,
}

// importArchive answers POST /import.
func (a *Admin) importArchive(w http.ResponseWriter, r *http.Request) {
	order, wrong := readImportOrder(r)
	if wrong != nil {
		a.refuseProblem(w, wrong)
		return
	}
	spooled, err := a.receiveArchive(w, r)
	if err != nil {
		a.refuseProblem(w, a.archiveProblem(err))
		return
	}
	defer spooled.close()
	if text := spooled.fields["data"]; text != "" && order.data == nil {
		if order.data, wrong = commonData(text); wrong != nil {
			a.refuseProblem(w, wrong)
			return
		}
	}
	out := newProgress(w, r)
	report, err := a.runImport(r.Context(), spooled, order, out.tell)
	switch {
	case err != nil:
		out.fail(a, a.archiveProblem(err))
	case report.Failed > 0:
		out.end(http.StatusMultiStatus, report)
	default:
		out.end(http.StatusOK, report)
	}
}

func readImportOrder(r *http.Request) (o importOrder, wrong *problem) {
	values, wrong := parsedQuery(r)
	if wrong != nil {
		return o, wrong
	}
	for name := range values {
		switch name {
		case "existing", "dry_run", "data", "owner":
		default:
			return o, newProblem(http.StatusBadRequest, bounded(name), "It is unknown; there are existing, dry_run, data and owner.")
		}
	}
	existing, known := existingWays[values.Get("existing")]
	if !known {
		return o, fieldProblem("existing", "it is skip, replace or fail")
	}
	o.existing = existing
	if o.dry, wrong = dryRun(r); wrong != nil {
		return o, wrong
	}
	if text := values.Get("data"); text != "" {
		if o.data, wrong = commonData(text); wrong != nil {
			return o, wrong
		}
	}
	o.owner = values.Get("owner")
	if caller := ownerOf(r.Context()); caller != "" {
		o.owner, o.confined = caller, true
	}
	return o, nil
}

func commonData(text string) (data map[string]json.RawMessage, wrong *problem) {
	if json.Unmarshal([]byte(text), &data) != nil || data == nil {
		return nil, fieldProblem("data", "it is a JSON object")
	}
	return data, nil
}

// archiveProblem is problemOf for archives.
func (a *Admin) archiveProblem(err error) *problem {
	var refused *archive.Refusal
	switch {
	case errors.As(err, &refused):
		text := refused.Problem
		if refused.Entry != "" {
			text = refused.Entry + ": " + text
		}
		return newProblem(http.StatusBadRequest, "archive", sentence("the archive is refused: "+text))
	case errors.Is(err, errImportAway):
		return newProblem(http.StatusServiceUnavailable, "", "The store or the records cannot be reached. Import the archive again: it goes on where it was.")
	}
	return a.imageProblem("import", "id", err)
}

// spooledArchive is an archive on the disk.
type spooledArchive struct {
	file   *os.File
	bytes  int64
	fields map[string]string // of a form
	end    func()
}

func (s *spooledArchive) close() {
	_ = s.file.Close() // it has no name
	s.end()
}

// receiveArchive puts the archive of a request on the disk.
func (a *Admin) receiveArchive(w http.ResponseWriter, r *http.Request) (*spooledArchive, error) {
	select {
	case a.imports <- struct{}{}:
	default:
		return nil, newProblem(http.StatusServiceUnavailable, "", "Two archives are being imported already. Wait until one is done.")
	}
	s := &spooledArchive{fields: map[string]string{}, end: func() { <-a.imports }}
	file, err := archive.TempFile(a.Archives.Dir)
	if err != nil {
		s.end()
		return nil, origin.StoreFault("import", err)
	}
	s.file = file
	control := http.NewResponseController(w)
	body := proxy.Incoming(r.Body, control)
	kind, parameters, _ := mime.ParseMediaType(contentTypeOf(r))
	if kind == "multipart/form-data" {
		err = s.readForm(multipart.NewReader(body, parameters["boundary"]), a.Archives.MaxBytes)
	} else {
		err = s.fill(body, a.Archives.MaxBytes)
	}
	_ = control.SetReadDeadline(time.Time{}) // what follows is not the client's to hurry
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// fill writes the archive's bytes.
func (s *spooledArchive) fill(body io.Reader, most int64) error {
	from := &failing{Reader: io.LimitReader(body, most+1)}
	n, err := io.CopyBuffer(struct{ io.Writer }{s.file}, from, make([]byte, copyBytes))
	switch {
	case from.err != nil:
		return errors.Join(ingest.ErrAborted, from.err)
	case err != nil:
		return origin.StoreFault("import", err)
	case n > most:
		return newProblem(http.StatusRequestEntityTooLarge, "archive", "The archive has more bytes than --import-max allows.")
	case n == 0:
		return newProblem(http.StatusBadRequest, "archive", "No archive was sent. Send it as the body, or as the part archive of a form.")
	}
	s.bytes = n
	return nil
}

// failing keeps the error of reading apart from that of writing.
type failing struct {
	io.Reader
	err error
}

func (f *failing) Read(to []byte) (int, error) {
	n, err := f.Reader.Read(to)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// readForm reads the part archive, and the other parts as texts.
func (s *spooledArchive) readForm(form *multipart.Reader, most int64) error {
	left := int64(maxImportFields)
	for {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errors.Join(ingest.ErrAborted, err)
		}
		if part.FormName() == "archive" && s.bytes == 0 {
			if err := s.fill(part, most); err != nil {
				return err
			}
			s.fields["\x00type"] = part.Header.Get("Content-Type")
			continue
		}
		text, err := io.ReadAll(io.LimitReader(part, left+1))
		if err != nil {
			return errors.Join(ingest.ErrAborted, err)
		}
		if left -= int64(len(text)); left < 0 {
			return newProblem(http.StatusRequestEntityTooLarge, "data", "The fields beside the archive have more than 1 MiB.")
		}
		s.fields[part.FormName()] = string(text)
	}
	if s.bytes == 0 {
		return newProblem(http.StatusBadRequest, "archive", "No archive was sent. Send it as the body, or as the part archive of a form.")
	}
	return nil
}

// errImportAway ends an import that finds nobody there.
var errImportAway = errors.New("import: nobody there")

// importing is one import under way.
type importing struct {
	*Admin
	importOrder
	archive *archive.Archive
	tell    func(any)

	mu     sync.Mutex
	report importReport
	away   int // in a row
}

// runImport imports an archive. It is refused as a whole before anything is changed, or its pictures are imported one by one.
func (a *Admin) runImport(ctx context.Context, s *spooledArchive, o importOrder, tell func(any)) (importReport, error) {
	opened, err := archive.Open(s.file, s.bytes, archive.DefaultLimits(a.Archives.PictureBytes))
	if err != nil {
		return importReport{}, err
	}
	i := &importing{Admin: a, importOrder: o, archive: opened, tell: tell}
	i.report.Pictures, i.report.DryRun = opened.Len(), o.dry
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(importWorkers)
	err = opened.Pictures(func(p archive.Picture) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		workers.Go(func() error { return i.one(ctx, p) })
		return nil
	})
	if failed := workers.Wait(); failed != nil {
		err = failed // the cause, and not that it was stopped
	}
	if err == nil {
		i.report.Pictures = i.report.done()
	}
	return i.report, err
}

// one imports a picture and counts it. Its error ends the import.
func (i *importing) one(ctx context.Context, p archive.Picture) error {
	done, id, err := i.restore(ctx, p)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	r := &i.report
	passed := i.archive.Kind == archive.Plain && (errors.Is(err, transform.ErrUnsupported) || errors.Is(err, ingest.ErrNoImage))
	switch {
	case passed:
		r.Passed++
	case err != nil:
		r.Failed++
		if len(r.Failures) < maxImportFailures {
			r.Failures = append(r.Failures, importFailure{p.Path, id, i.reason(err)})
		}
	case done == ingest.RestoredNew:
		r.Imported++
	case done == ingest.RestoredReplaced:
		r.Replaced++
	case done == ingest.RestoredThere:
		r.There++
	default:
		r.Kept++
	}
	if i.away++; !isAway(err) {
		i.away = 0
	}
	if i.away == maxAway {
		return errImportAway
	}
	told := *r
	told.Failures = nil
	i.tell(told)
	return nil
}

func (i *importing) reason(err error) string {
	if errors.Is(err, archive.ErrNoEntry) {
		return "The archive does not hold its bytes."
	}
	if errors.Is(err, ingest.ErrHash) {
		return "Its bytes are not those that its record tells of."
	}
	return i.archiveProblem(err).Detail
}

func isAway(err error) bool {
	return errors.Is(err, ingest.ErrUnavailable) || errors.Is(err, origin.ErrUnavailable)
}

// restore imports a picture; while others are in the way it is tried again.
func (i *importing) restore(ctx context.Context, p archive.Picture) (done ingest.Restored, id string, err error) {
	r, err := i.restoration(p)
	if err != nil {
		return "", p.ID, err
	}
	begin := time.Now()
	for try, pause := 1, importPause; ; try, pause = try+1, min(2*pause, 8*importPause) {
		done, id, err = i.Archives.Sources.Import(ctx, r)
		again := isAway(err) && try < importTries ||
			(errors.Is(err, ingest.ErrBusy) || errors.Is(err, ingest.ErrChanging)) && time.Since(begin) < importPatience
		if !again {
			return done, id, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return done, id, ctx.Err()
		}
	}
}

// restoration is what is to be done for a picture of the archive.
func (i *importing) restoration(p archive.Picture) (ingest.Restoration, error) {
	r := ingest.Restoration{Record: unarchived(p), Existing: i.existing, Dry: i.dry, Confined: i.confined}
	if i.confined || r.Record.Owner == "" {
		r.Record.Owner = i.owner
	}
	if i.archive.Kind != archive.Own || p.File != "" {
		file, err := cleanFile(p.File)
		if err != nil {
			return r, err
		}
		r.Record.File = file
	}
	if i.archive.Kind == archive.Storage && origin.CheckID(p.ID) != nil {
		r.Record.ID = ""
	}
	if len(i.data) > 0 {
		merged := map[string]json.RawMessage{}
		_ = json.Unmarshal(p.Data, &merged) // what is no object has no members
		if merged == nil {
			merged = map[string]json.RawMessage{}
		}
		maps.Copy(merged, i.data)
		text, err := json.Marshal(merged)
		if err != nil {
			return r, err
		}
		r.Record.Data = string(text)
	}
	r.Open = func() (io.ReadCloser, error) { return i.archive.Open(p.Path) }
	if i.dry {
		body, err := r.Open() // that it is there
		if err != nil {
			return r, err
		}
		return r, body.Close()
	}
	return r, nil
}
