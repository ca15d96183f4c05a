package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/internal/testimage"

	"github.com/google/go-cmp/cmp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"
)

// spanReceiver is a collector: it keeps the spans that it is sent.
type spanReceiver struct {
	url   string
	mu    sync.Mutex
	spans []*otlp.Span
}

func newSpanReceiver(t *testing.T) *spanReceiver {
	r := &spanReceiver{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, asked *http.Request) {
		body, err := io.ReadAll(asked.Body)
		var sent collector.ExportTraceServiceRequest
		if err != nil || asked.URL.Path != "/v1/traces" || proto.Unmarshal(body, &sent) != nil {
			t.Errorf("%s %v %.100q", asked.URL, err, body)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, resource := range sent.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// tree spells the spans of a trace, one a line, children indented below their parent in the order in which they began.
func (r *spanReceiver) tree(trace string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	children, known := map[string][]*otlp.Span{}, map[string]bool{}
	for _, s := range r.spans {
		known[string(s.SpanId)] = true
	}
	for _, s := range r.spans {
		if hex.EncodeToString(s.TraceId) != trace {
			continue
		}
		parent := string(s.ParentSpanId)
		if !known[parent] {
			parent = "" // of another service
		}
		children[parent] = append(children[parent], s)
	}
	var b strings.Builder
	var write func(parent, indent string)
	write = func(parent, indent string) {
		slices.SortStableFunc(children[parent], func(a, b *otlp.Span) int { return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano)) })
		for _, s := range children[parent] {
			b.WriteString(indent + s.Name)
			for _, a := range s.Attributes {
				if slices.Contains([]string{"deckle.hit", "deckle.outcome", "deckle.source", "http.response.status_code", "deckle.width", "error.type"}, a.Key) {
					value := a.Value.GetStringValue()
					switch {
					case strings.Contains(a.Value.String(), "bool_value"):
						value = fmt.Sprint(a.Value.GetBoolValue())
					case strings.Contains(a.Value.String(), "int_value"):
						value = fmt.Sprint(a.Value.GetIntValue())
					}
					fmt.Fprintf(&b, " %s=%s", a.Key, value)
				}
			}
			b.WriteByte('\n')
			if s.EndTimeUnixNano < s.StartTimeUnixNano {
				b.WriteString("ends before it begins\n")
			}
			write(string(s.SpanId), indent+"  ")
		}
	}
	write("", "")
	return b.String()
}

// traceOf returns the trace id that the access line of a path has.
func (d *daemon) traceOf(path string, nth int) string {
	d.t.Helper()
	for line := range strings.Lines(d.log.String()) {
		if strings.Contains(line, `"path":"`+path+`"`) {
			if nth--; nth < 0 {
				_, rest, _ := strings.Cut(line, `"trace_id":"`)
				id, _, _ := strings.Cut(rest, `"`)
				return id
			}
		}
	}
	d.t.Fatalf("no access line of %s:\n%s", path, d.log)
	return ""
}

// TestTraces: the spans of one miss and one hit, as a collector gets them; a web origin learns whose request it is; nothing secret
// is told.
func TestTraces(t *testing.T) {
	r := newSpanReceiver(t)
	var mu sync.Mutex
	var passed []string
	picture := testimage.JPEG(testimage.Photo(400, 300, 1), 85)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, asked *http.Request) {
		if asked.Method == http.MethodGet {
			mu.Lock()
			passed = append(passed, asked.Header.Get("Traceparent"))
			mu.Unlock()
		}
		http.ServeContent(w, asked, "", time.Unix(1e9, 0), bytes.NewReader(picture))
	}))
	t.Cleanup(upstream.Close)
	d := start(t, "--data", t.TempDir(), "--origin", upstream.URL, "--allow-upstream", "127.0.0.0/8", "--otlp", r.url, "--trace-ratio", "1")
	const ours = "4bf92f3577b34da6a3ce929d0e0e4736"
	if got := d.get("/cat_30_20.webp?v=hunter2&X-Signature=hunter2", "X-Token", "hunter2"); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	d.mustGet("/cat_30_20.webp", "memory")
	d.get("/cat_30_20.webp?v=hunter2", "Traceparent", "00-"+ours+"-00f067aa0ba902b7-01")
	d.get("/odd.exe")
	scraped := request("GET", d.admin+"/metrics", nil, "Accept", "application/openmetrics-text")
	d.stop()
	miss := d.traceOf("/cat_30_20.webp", 0)
	want := `request http.response.status_code=200 deckle.source=cat deckle.outcome=render
  tier memory deckle.hit=false
  tier disk deckle.hit=false
  fetch
  queue
  render deckle.width=27
    load
    fit
    pixels
    encode
`
	if diff := cmp.Diff(want, r.tree(miss)); diff != "" {
		t.Error(diff)
	}
	want = "request http.response.status_code=200 deckle.source=cat deckle.outcome=memory\n  tier memory deckle.hit=true\n"
	if diff := cmp.Diff(want, r.tree(ours)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("request http.response.status_code=400 deckle.source= deckle.outcome=none\n", r.tree(d.traceOf("/odd.exe", 0))); diff != "" {
		t.Error(diff)
	}
	fetches := map[string]bool{}
	for _, s := range r.spans {
		if strings.Contains(s.String(), "hunter2") {
			t.Errorf("a secret is told: %s", s)
		}
		if s.Name == "fetch" {
			fetches[hex.EncodeToString(s.SpanId)] = true
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if parts := strings.Split(strings.Join(passed, ""), "-"); len(passed) != 1 || len(parts) != 4 || parts[1] != miss || !fetches[parts[2]] {
		t.Errorf("the origin was told %q, want trace %s and one of %v", passed, miss, fetches)
	}
	if !strings.Contains(string(scraped.body), `# {trace_id="`+miss+`"}`) {
		t.Errorf("no exemplar of %s in\n%s", miss, scraped.body)
	}
}

// TestTraceChoice: which requests are followed.
func TestTraceChoice(t *testing.T) {
	const sampled, unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	for _, test := range []struct {
		name, parent string
		ratio        float64
		allowed      int
		want         int // of 50
	}{
		{"none", "", 0, 50, 0},
		{"all", "", 1, 50, 50},
		{"asked to", sampled, 0, 50, 50},
		{"asked not to", unsampled, 1, 50, 0},
		{"nonsense", strings.Repeat("z", traceparentLength), 0, 50, 0},
		{"of no length", strings.Repeat("0", 4000), 0, 50, 0},
		{"asked to too often", sampled, 0, 7, 7},
		{"too many", "", 1, 7, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			spans := tracetest.NewSpanRecorder()
			provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
			tr := &tracer{spans: provider.Tracer("x"), ratio: test.ratio, limit: rate.NewLimiter(0, test.allowed)}
			got := 0
			for range 50 {
				if f := tr.Begin([]byte(test.parent), time.Now()); f != nil {
					got++
				}
			}
			if got != test.want || len(spans.Started()) != test.want {
				t.Errorf("%d were followed, with %d spans, want %d", got, len(spans.Started()), test.want)
			}
		})
	}
}

// TestTraceCollectorAway: a collector that is not there costs a line of the log.
func TestTraceCollectorAway(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--otlp", "http://127.0.0.1:1", "--trace-ratio", "1")
	d.upload("cat", photo(), false)
	d.mustGet("/cat_30_20.webp", "render")
	d.stop()
	if !strings.Contains(d.log.String(), "traces were not delivered") {
		t.Errorf("nothing is said:\n%s", d.log)
	}
}

func TestTraceSettings(t *testing.T) {
	for value, says := range map[string][]string{
		"ftp://x": {"--otlp", "http:// or https://"}, "http:": {"--otlp", "host"}, "http://user:hunter2@": {"--otlp", "host"},
	} {
		code, _, stderr := command("config", "--otlp", value)
		for _, text := range says {
			if code != exitUsage || !strings.Contains(stderr, text) || strings.Contains(stderr, "hunter2") {
				t.Errorf("%s: %d %s", value, code, stderr)
			}
		}
	}
	for _, ratio := range []string{"-1", "1.1", "NaN", "often"} {
		if code, _, stderr := command("config", "--trace-ratio", ratio); code != exitUsage || !strings.Contains(stderr, "--trace-ratio") {
			t.Errorf("%s: %d %s", ratio, code, stderr)
		}
	}
	if code, _, stderr := command("config", "--stats-every", "-5s"); code != exitUsage || !strings.Contains(stderr, "--stats-every") {
		t.Errorf("%d %s", code, stderr)
	}
}
