package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"deckle/catalog"
	"deckle/catalog/sqlite"
	"deckle/ingest"
	"deckle/origin"
	"deckle/origin/file"
)

// crashRounds reads how often a crash test kills, and by which seed.
func crashRounds(t *testing.T, otherwise int) (rounds int, seed uint64) {
	t.Helper()
	rounds, seed = otherwise, uint64(time.Now().UnixNano())
	var err error
	if text := os.Getenv("DECKLE_CRASH_ROUNDS"); text != "" {
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv("DECKLE_CRASH_SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d rounds, seed %d", rounds, seed)
	return rounds, seed
}

// seen is what the operator's listener says of an id.
type seen struct {
	Active, Incoming, Deleted *struct {
		SHA256        string
		Width, Height int
		Private       bool
	}
}

func (s seen) sha256() string {
	switch {
	case s.Active != nil:
		return s.Active.SHA256
	case s.Incoming != nil:
		return s.Incoming.SHA256
	}
	return ""
}

// look compares what is there with what may be, and returns the state that it is. Without sure, an answer that does not come says
// that the server has died, and ok is false.
func (l *lives) look(ids [2]string, maybe []lifeState, sure bool) (found lifeState, ok bool) {
	var said [2]seen
	for i, id := range ids {
		ask := func() reply { return request("GET", l.d.admin+"/sources/"+id, nil) }
		got := ask()
		if sure && got.status == http.StatusServiceUnavailable {
			got = patiently(ask)
		}
		if got.status == 0 || got.status >= 500 {
			if sure {
				l.fault("lost", "%s cannot be asked about: %d %v %s", id, got.status, got.err, got.body)
			}
			return found, false
		}
		if got.status == isThere {
			if err := json.Unmarshal(got.body, &said[i]); err != nil {
				l.fault("torn", "%s: %v in %s", id, err, got.body)
			}
		}
	}
	var why []string
	for _, state := range maybe {
		reason := state.differs(said)
		if reason == "" {
			state.Picture.SHA256 = said[state.At].sha256() // for whoever did not get the answer that says so
			return state, l.shows(ids, state, said, sure)
		}
		why = append(why, reason)
	}
	kind := "torn"
	if len(maybe) == 1 {
		kind = "lost"
	}
	text, _ := json.Marshal(said)
	l.fault(kind, "%s: %s, which is not %+v: %s", ids[0], text, maybe, strings.Join(why, "; "))
	return found, false
}

// differs says in what the records differ from a state; empty when in nothing.
func (s lifeState) differs(said [2]seen) string {
	for i := range said {
		wantActive, wantIncoming := s.At == i && s.Life == lifeServed, s.At == i && s.Life == lifePending
		active, incoming := said[i].Active, said[i].Incoming
		switch {
		case (active != nil) != wantActive:
			return fmt.Sprintf("id %d is served: %v", i, active != nil)
		case (incoming != nil) != wantIncoming:
			return fmt.Sprintf("id %d is pending: %v", i, incoming != nil)
		case active != nil && active.Private != s.Private:
			return fmt.Sprintf("id %d is private: %v", i, active.Private)
		case active != nil && !s.Picture.is(active.SHA256, active.Width):
			return "other bytes are served"
		case incoming != nil && !s.Picture.is(incoming.SHA256, incoming.Width):
			return "other bytes are pending"
		case said[i].Deleted == nil && s.Trash[i] != (lifePicture{}):
			return fmt.Sprintf("id %d has nothing to restore", i)
		}
	}
	return ""
}

func (p lifePicture) is(sha string, width int) bool {
	return (p.SHA256 == "" || p.SHA256 == sha) && p.Turned == (width == 30)
}

// shows compares what viewers get with a state that the records have: the bytes, and a rendering of them.
func (l *lives) shows(ids [2]string, state lifeState, said [2]seen, sure bool) bool {
	for i, id := range ids {
		served := state.Life == lifeServed && state.At == i
		query := ""
		if served && state.Private {
			if got := l.d.get("/" + id + "_20_0.png"); got.status == isThere {
				l.fault("shown", "%s is private, and shown", id)
			}
			got := request("POST", l.d.admin+"/sources/"+id+"/view", strings.NewReader(`{"every": true}`))
			var view struct{ URL string }
			_ = json.Unmarshal(got.body, &view) // then there is none
			_, signed, _ := strings.Cut(view.URL, "?")
			query = "?" + signed
		}
		stored, rendered := l.d.get("/"+id+"."+state.ext()+query), l.d.get("/"+id+"_20_0.png"+query)
		if !sure && (stored.status == 0 || rendered.status == 0 || stored.status >= 500 || rendered.status >= 500 || stored.err != nil || rendered.err != nil) {
			return false
		}
		if !served {
			if stored.status != isAbsent || rendered.status != isAbsent {
				l.fault("stale", "%s is not served, and answered %d and %d", id, stored.status, rendered.status)
			}
			continue
		}
		sum := sha256.Sum256(stored.body)
		if stored.status != isThere || hex.EncodeToString(sum[:]) != said[i].Active.SHA256 {
			l.fault("torn", "%s: %d with %d bytes, which are not those of the record", id, stored.status, len(stored.body))
		}
		if why := state.Picture.differs(rendered); why != "" {
			l.fault("stale", "%s: the rendering %s", id, why)
		}
	}
	return true
}

func (s lifeState) ext() string {
	if s.Picture.Ext == "" {
		return "png"
	}
	return s.Picture.Ext
}

// differs says in what a rendering of 20 pixels' width differs from what it should show.
func (p lifePicture) differs(got reply) string {
	img, _, err := image.Decode(bytes.NewReader(got.body))
	if got.status != isThere || err != nil {
		return fmt.Sprintf("is no picture: %d %v", got.status, err)
	}
	height := 15
	if p.Turned {
		height = 27
	}
	r, _, _, _ := img.At(10, 7).RGBA()
	if math.Abs(float64(r>>8)-float64(p.Shade)) > 3 || img.Bounds().Dy() != height {
		return fmt.Sprintf("has the shade %d and %d rows, want %d and %d", r>>8, img.Bounds().Dy(), p.Shade, height)
	}
	return ""
}

// unfinished counts the changes that nobody has finished.
func unfinished(t *testing.T, data string) int {
	t.Helper()
	records, err := sqlite.Open(filepath.Join(data, "deckle.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = records.Close() }() // only read
	left, err := records.Unfinished(context.Background(), time.Now().Add(time.Hour), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(left)
}

// quietVersions is told of changes while no server runs.
type quietVersions struct{}

func (quietVersions) Set(string, origin.Info) {}
func (quietVersions) Invalidate(string)       {}
func (quietVersions) Gone(string)             {}

// recoverLeft does to a stopped server's data what the server does when the rights of the dead have run out and what they left lying
// is old, and returns how many changes it finished.
func recoverLeft(t *testing.T, data string) (finished int) {
	t.Helper()
	old := time.Now().Add(-2 * time.Hour)
	for _, within := range []string{"", ".incoming", ".trash"} {
		litter, err := filepath.Glob(filepath.Join(data, "originals", within, ".tmp", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range litter {
			if err := os.Chtimes(name, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	records, store := openData(t, data)
	defer func() { _, _ = records.Close(), store.Close() }()
	service := ingest.New(ingest.Config{
		Store: store, Catalog: records, Versions: quietVersions{}, Now: func() time.Time { return time.Now().Add(time.Hour) }, IncomingTTL: time.Minute,
	})
	for range 100 {
		n, err := service.Recover(context.Background())
		if err != nil {
			t.Errorf("recover: %v", err)
		}
		if finished += n; n == 0 {
			break
		}
	}
	if _, err := service.SweepIncoming(context.Background()); err != nil {
		t.Errorf("sweep: %v", err)
	}
	return finished
}

func openData(t *testing.T, data string) (*catalog.Catalog, *file.Store) {
	t.Helper()
	records, err := sqlite.Open(filepath.Join(data, "deckle.db"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := file.New(filepath.Join(data, "originals"))
	if err != nil {
		t.Fatal(err)
	}
	return records, store
}

// orphans counts what nothing refers to in a stopped server's data: bytes without a record, records without bytes or with others'
// privacy, objects of the areas without an entry and entries without an object, marks, and litter.
func (l *lives) orphans(data string) (n int) {
	l.t.Helper()
	records, store := openData(l.t, data)
	defer func() { _, _ = records.Close(), store.Close() }()
	ctx := context.Background()
	orphan := func(format string, args ...any) {
		n++
		l.t.Errorf("orphan: "+format, args...)
	}
	private, bytesOf := 0, map[string]bool{}
	page, err := records.Records(ctx, "", 100_000)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, r := range page {
		bytesOf[r.ID] = true
		if r.Private {
			private++
		}
		if info, err := store.Stat(ctx, r.ID); err != nil || info.Version != r.Version || info.Private != r.Private {
			orphan("the record of %s (private %v) and the store: %+v, %v", r.ID, r.Private, info, err)
		}
	}
	objects := map[string]bool{}
	for _, area := range []string{catalog.Incoming, catalog.Trash} {
		asides, err := records.Asides(ctx, area, "", 100_000)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, a := range asides {
			objects["."+area+"/"+a.Object] = true
		}
	}
	marks := 0
	root := filepath.Join(data, "originals")
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		name, relErr := filepath.Rel(root, path)
		if err := errors.Join(err, relErr); err != nil || e.IsDir() || filepath.Base(path) == "lock" {
			return err
		}
		switch {
		case strings.HasPrefix(name, ".private/"):
			marks++
		case objects[name]:
			delete(objects, name)
		case bytesOf[name]:
			delete(bytesOf, name)
		case !strings.Contains(name, "/.private/"):
			orphan("%s", name)
		}
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
	for name := range objects {
		orphan("an entry without its bytes: %s", name)
	}
	if marks != private {
		orphan("%d marks of %d private sources", marks, private)
	}
	return n
}
