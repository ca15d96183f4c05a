package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/internal/testimage"
)

// model stands in for a model server: it says of a picture what its id is.
type model struct {
	*httptest.Server
	mu      sync.Mutex
	open    chan struct{}  // closed when it answers
	asked   map[string]int // by id
	answers int
	refuse  int // the status of an answer, if it is not to be 200
}

func newModel(t *testing.T) *model {
	m := &model{asked: map[string]int{}, open: make(chan struct{})}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	picture, err := io.ReadAll(r.Body)
	id, unescapeErr := url.PathUnescape(r.Header.Get("X-Deckle-Source"))
	if err != nil || unescapeErr != nil || len(picture) < 100 || string(picture[:2]) != "\xff\xd8" {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	m.mu.Lock()
	m.asked[id]++
	m.mu.Unlock()
	select {
	case <-m.open:
	case <-r.Context().Done():
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers++
	if m.refuse != 0 {
		w.WriteHeader(m.refuse)
		return
	}
	_, _ = fmt.Fprintf(w, `{"labels":[{"name":%q,"confidence":99},{"name":"guess","confidence":30},{"name":"nude","category":"unsafe","confidence":80}]}`, "Seen "+id)
}

// answered returns how often the model has answered, and how often it was asked beyond once for each picture.
func (m *model) answered() (answers, repeated int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.asked {
		repeated += n - 1
	}
	return m.answers, repeated
}

// say has the model answer with a status from now on; 0 is with labels.
func (m *model) say(status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse = status
}

// labelledBody is what a receiver reads of a labelled event.
type labelledBody struct {
	Event, ID string
	Data      struct {
		Source, Version string
		Labels          []saidLabel
		Failed          []string
	}
}

type saidLabel struct {
	Name, Category, Source string
	Confidence             float64
}

// labelled returns the events that have come, by source.
func (h *hook) labelled(t *testing.T) map[string][]labelledBody {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[string][]labelledBody{}
	for _, body := range h.bodies {
		var e labelledBody
		if err := json.Unmarshal([]byte(body), &e); err != nil || e.Event != "image.labelled" {
			t.Errorf("event %s: %v", body, err)
		}
		all[e.Data.Source] = append(all[e.Data.Source], e)
	}
	return all
}

// record is what the operator's listener says of a source.
func (d *daemon) record(id string) (version string, labels []saidLabel) {
	d.t.Helper()
	got := request("GET", d.admin+"/sources/"+id, nil)
	var said struct {
		Active struct {
			Version string
			Labels  []saidLabel
		}
	}
	if err := json.Unmarshal(got.body, &said); err != nil || got.status != 200 {
		d.t.Fatalf("record of %s: %d %s %v", id, got.status, got.body, err)
	}
	return said.Active.Version, said.Active.Labels
}

// names spells labels as source:category:name, sorted.
func names(labels []saidLabel) (list []string) {
	for _, l := range labels {
		list = append(list, l.Source+":"+l.Category+":"+l.Name)
	}
	slices.Sort(list)
	return list
}

// TestLabelling kills the server again and again while it labels pictures. Afterwards each of them has all its labels, once, and one
// event. DECKLE_LABEL_PICTURES sets how many; there is one kill for each ten of them, and three at least.
func TestLabelling(t *testing.T) {
	pictures := 20
	if text := os.Getenv("DECKLE_LABEL_PICTURES"); text != "" {
		var err error
		if pictures, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	kills := max(3, pictures/10)
	h, m := newHook(t), newModel(t)
	h.come("ok")
	d := start(t, "--data", t.TempDir(), "--label", "builtin,sidecar="+m.URL+"/v1/label", "--webhook-url", "shop=http://"+h.at,
		"--webhook-secret", h.secret, "--webhook-events", "labelled", "--webhook-retry-most", "200ms")
	id := func(n int) string { return fmt.Sprintf("album/p%d", n) }
	for n := range pictures {
		d.upload(id(n), testimage.JPEG(testimage.Quadrants(60+n, 40), 80), false)
	}
	begin := time.Now()
	close(m.open)
	for kill := range kills {
		due := (kill + 1) * pictures / (kills + 1)
		eventually(t, time.Minute, "some labels", func() bool { answers, _ := m.answered(); return answers >= due })
		time.Sleep(rand.N(40 * time.Millisecond)) // what the kill interrupts is left to chance
		d.kill()
		d.launch()
	}
	eventually(t, 2*time.Minute, "all labels", func() bool { return d.metric("deckle_labels_waiting") == 0 })
	took := time.Since(begin)
	eventually(t, time.Minute, "every event", func() bool { return len(h.labelled(t)) == pictures })
	eventually(t, time.Minute, "an empty outbox", func() bool { return d.metric("deckle_events_waiting") == 0 })
	told := h.labelled(t)
	for n := range pictures {
		checkLabelled(t, d, id(n), told[id(n)])
	}
	if got := request("GET", d.admin+"/labels/dead", nil); got.status != 200 || strings.TrimSpace(string(got.body)) != `{"labels":[]}` {
		t.Errorf("given up: %d %s", got.status, got.body)
	}
	_, repeated := m.answered()
	t.Logf("%d pictures, %d kills: all labelled once, in %s with %d starts; %d looked at again after a kill, %d events told again under their id",
		pictures, kills, took.Round(10*time.Millisecond), kills+1, repeated, h.repeated)
	d.stop()
}

// checkLabelled wants the labels of a picture of four quadrants, and one event that says the same.
func checkLabelled(t *testing.T, d *daemon, id string, told []labelledBody) {
	t.Helper()
	version, labels := d.record(id)
	want := []string{
		"builtin:colour:blue", "builtin:colour:green", "builtin:colour:red", "builtin:colour:yellow", "builtin:kind:landscape",
		"sidecar:object:seen " + id, "sidecar:unsafe:nude",
	}
	// What kind of picture it is depends on its size.
	got := slices.DeleteFunc(names(labels), func(name string) bool { return strings.HasPrefix(name, "builtin:kind:graphic") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("labels of %s (-want +got):\n%s", id, diff)
	}
	if len(told) != 1 || told[0].Data.Version != version || len(told[0].Data.Failed) > 0 {
		t.Errorf("told of %s: %+v", id, told)
		return
	}
	if diff := cmp.Diff(labels, told[0].Data.Labels); diff != "" {
		t.Errorf("event of %s (-record +event):\n%s", id, diff)
	}
}

// TestLabelsOnDemand: labels follow the bytes, are made anew on demand, given up when the model refuses, and tried again.
func TestLabelsOnDemand(t *testing.T) {
	m := newModel(t)
	close(m.open)
	d := start(t, "--data", t.TempDir(), "--label", "sidecar="+m.URL, "--label-thresholds", "object=50,unsafe=90")
	labels := func() string { _, labels := d.record("shop/a/cat"); return strings.Join(names(labels), " ") }
	idle := func() {
		t.Helper()
		eventually(t, 30*time.Second, "nothing to label", func() bool { return d.metric("deckle_labels_waiting") == 0 })
	}
	post := func(path, body string, want int) string {
		t.Helper()
		got := request("POST", d.admin+path, strings.NewReader(body))
		if got.status != want {
			t.Errorf("POST %s: %d %s, want %d", path, got.status, got.body, want)
		}
		return strings.TrimSpace(string(got.body))
	}
	d.upload("shop/a/cat", testimage.JPEG(testimage.Quadrants(60, 40), 80), false)
	idle()
	if got := labels(); got != "sidecar:object:seen shop/a/cat" {
		t.Errorf("labels %q", got)
	}
	for query, want := range map[string]int{"label=SEEN+shop/a/cat": 1, "label=seen": 0, "q=seen": 1} {
		if got := request("GET", d.admin+"/images?"+query, nil); strings.Count(string(got.body), `"id":"shop/a/cat"`) != want {
			t.Errorf("GET /images?%s: %d %s, want the picture %d times", query, got.status, got.body, want)
		}
	}

	m.say(http.StatusUnprocessableEntity)
	d.upload("shop/a/cat", testimage.JPEG(testimage.Quadrants(80, 40), 80), true)
	if got := labels(); got != "" {
		t.Errorf("new bytes have the labels %q of the former ones", got)
	}
	idle()
	var dead struct {
		Labels []struct {
			Job                 int64
			ID, Version, Reason string
		}
	}
	if got := request("GET", d.admin+"/labels/dead", nil); json.Unmarshal(got.body, &dead) != nil || len(dead.Labels) != 1 ||
		dead.Labels[0].ID != "shop/a/cat" || !strings.Contains(dead.Labels[0].Reason, "the sidecar answers 422") {
		t.Fatalf("given up: %s", got.body)
	}
	post("/labels/dead/1/retry", "", 404)
	m.say(0)
	post(fmt.Sprintf("/labels/dead/%d/retry", dead.Labels[0].Job), "", 200)
	idle()
	if got := labels(); got != "sidecar:object:seen shop/a/cat" {
		t.Errorf("labels %q after trying again", got)
	}

	before, _ := m.answered()
	for _, path := range []string{"/sources/shop/a/cat/label", "/sources/shop%2Fa%2Fcat/label", "/sources/shop/a%2Fcat/label"} {
		if got := post(path, "", 202); got != `{"id":"shop/a/cat","queued":true}` {
			t.Errorf("%s is answered with %s", path, got)
		}
	}
	idle()
	if after, _ := m.answered(); after != before+3 {
		t.Errorf("the model was asked %d times for three", after-before)
	}
	post("/sources/nobody/label", "", 404)
	post("/sources/.x/label", "", 400)
	if got := post("/labels", `{"ids":["shop/a/cat","nobody"]}`, 207); !strings.Contains(got, `{"id":"shop/a/cat","queued":true}`) || !strings.Contains(got, `"status":404`) {
		t.Errorf("labelling many: %s", got)
	}
	if got := post("/labels/dead/retry", "", 200); got != `{"retried":0}` {
		t.Errorf("trying none again: %s", got)
	}
	idle()
	d.stop()
}

// TestLabelsOff: without labelers nothing is put into a queue, and there is nothing to ask for.
func TestLabelsOff(t *testing.T) {
	d := start(t, "--data", t.TempDir())
	d.upload("cat", testimage.JPEG(testimage.Quadrants(60, 40), 80), false)
	if got := request("POST", d.admin+"/sources/cat/label", nil); got.status != 404 {
		t.Errorf("labelling is answered with %d %s", got.status, got.body)
	}
	if got := request("GET", d.admin+"/metrics", nil); strings.Contains(string(got.body), "deckle_labels_waiting") {
		t.Error("there is a queue of labels")
	}
	d.stop()
}

func TestLabelSettings(t *testing.T) {
	good := labelSettings{
		Label: "builtin,sidecar=http://localhost:9/label,rekognition", LabelThresholds: "object=70,face=50.5", LabelWorkers: "3", LabelTimeout: "10s",
		LabelSidecarKey: "key", LabelDetectors: "objects,text", LabelRegion: "eu-central-1", LabelEndpoint: "http://localhost:9",
	}
	var r reader
	l := good.resolve(&r)
	if len(r.faults) > 0 || !l.on() || !l.builtin || l.sidecar.Key != "key" || l.rekognition.Region != "eu-central-1" || l.thresholds["face"] != 50.5 || l.workers != 3 {
		t.Errorf("read %+v, faults %v", l, r.faults)
	}
	for name, change := range map[string]func(*labelSettings){
		"unknown labeler":    func(s *labelSettings) { s.Label, s.LabelSidecarKey = "oracle", "" },
		"no URL":             func(s *labelSettings) { s.Label, s.LabelSidecarKey = "sidecar", "" },
		"no web URL":         func(s *labelSettings) { s.Label = "sidecar=ftp://x" },
		"two sidecars":       func(s *labelSettings) { s.Label = "sidecar=http://a,sidecar=http://b" },
		"password":           func(s *labelSettings) { s.Label = "sidecar=http://u:hunter2@a" },
		"key for nobody":     func(s *labelSettings) { s.Label = "builtin" },
		"no category":        func(s *labelSettings) { s.LabelThresholds = "cats=1" },
		"no number":          func(s *labelSettings) { s.LabelThresholds = "object=NaN" },
		"more than all":      func(s *labelSettings) { s.LabelThresholds = "object=101" },
		"unknown detector":   func(s *labelSettings) { s.LabelDetectors = "cars" },
		"endpoint is no URL": func(s *labelSettings) { s.LabelEndpoint = "localhost" },
	} {
		var r reader
		s := good
		change(&s)
		s.resolve(&r)
		if len(r.faults) != 1 || strings.Contains(r.faults[0].Error(), "hunter2") || strings.Contains(r.faults[0].Error(), `"key"`) {
			t.Errorf("%s: faults %v", name, r.faults)
		}
	}
	off := labelSettings{LabelWorkers: "2", LabelTimeout: "30s"}
	r = reader{}
	if l := off.resolve(&r); l.on() || len(r.faults) > 0 {
		t.Errorf("labelling is on by default: %+v %v", l, r.faults)
	}
}
