package event

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var at = time.Date(2026, 11, 22, 0, 18, 30, 123456789, time.FixedZone("elsewhere", 3600))

func TestBody(t *testing.T) {
	const hashed = "products/6e0/072/682/e66287b662827da75b244a3"
	tests := []struct {
		name  string
		event Event
		want  string
	}{
		{"a source", OfSource(Uploaded, at, Source{
			Width: 4000, Height: 3000, ContentType: "image/jpeg", Source: hashed, Version: "v1", SHA256: "abc", Bytes: 7, Format: "jpeg",
		}), `{"event":"image.uploaded","id":"ID","timestamp":"2026-11-21T23:18:30.123Z","data":{` +
			`"namespace":"products","hash":"6e0072682e66287b662827da75b244a3","width":4000,"height":3000,"content_type":"image/jpeg",` +
			`"remote_url":"","source":"` + hashed + `","version":"v1","sha256":"abc","bytes":7,"format":"jpeg"}}`},
		{"a variant", OfVariant(at, Variant{Filename: "x200.webp", Format: "webp", Width: 200, Height: 150, Quality: 75, Source: "cat", Version: "v1", Bytes: 9}),
			`{"event":"image.processed","id":"ID","timestamp":"2026-11-21T23:18:30.123Z","data":{"namespace":"","hash":"","filename":"x200.webp",` +
				`"format":"webp","width":200,"height":150,"quality":75,"remote_url":"","source":"cat","version":"v1","bytes":9}}`},
		{"a failed one", OfVariant(at, Variant{Filename: "x200.webp", Format: "webp", Source: "cat", Error: "The picture's bytes are broken."}),
			`{"event":"image.processing_failed","id":"ID","timestamp":"2026-11-21T23:18:30.123Z","data":{"namespace":"","hash":"","filename":"x200.webp",` +
				`"format":"webp","width":0,"height":0,"quality":0,"remote_url":"","source":"cat","version":"","bytes":0,"error":"The picture's bytes are broken."}}`},
		{"a batch", OfBatch(at, Batch{Source: "cat", Processed: 2, Failed: 1}),
			`{"event":"image.batch_complete","id":"ID","timestamp":"2026-11-21T23:18:30.123Z","data":{"namespace":"","hash":"","source":"cat","processed":2,"failed":1}}`},
		{"labels", OfLabels("", at, Labels{Source: "cat", Version: "v1", Labels: []Label{{"dog", "object", 99.5, "sidecar"}}}),
			`{"event":"image.labelled","id":"ID","timestamp":"2026-11-21T23:18:30.123Z","data":{"namespace":"","hash":"","source":"cat","version":"v1",` +
				`"labels":[{"name":"dog","category":"object","confidence":99.5,"source":"sidecar"}],"failed":[]}}`},
		{"no labels", OfLabels("", at, Labels{Source: "cat", Version: "v1", Failed: []string{"sidecar"}}),
			`{"event":"image.labelled","id":"ID","timestamp":"2026-11-21T23:18:30.123Z","data":{"namespace":"","hash":"","source":"cat","version":"v1","labels":[],"failed":["sidecar"]}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if len(test.event.ID) < 20 {
				t.Errorf("the id is %q", test.event.ID)
			}
			test.event.ID = "ID"
			body, err := test.event.Body()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(body)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
	if a, b := OfBatch(at, Batch{}), OfBatch(at, Batch{}); a.ID == b.ID {
		t.Error("two events have one id")
	}
	if e := OfLabels("mine", at, Labels{}); e.ID != "mine" {
		t.Errorf("the event has the id %q, not its maker's", e.ID)
	}
}

func TestPlace(t *testing.T) {
	const rest = "/6e0/072/682/e66287b662827da75b244a3"
	for id, want := range map[string]Place{
		"photos" + rest: {"photos", "6e0072682e66287b662827da75b244a3"},
		"cat":           {},
		"a/b" + rest:    {},
		"photos/6e0/072/682/e66287b662827da75b244aG": {},
		"photos/6E0/072/682/e66287b662827da75b244a3": {},
		"photos/6e0/072/682/e66287b662827da75b244a":  {},
		"": {},
	} {
		if got := placeOf(id); got != want {
			t.Errorf("%q is at %+v, want %+v", id, got, want)
		}
	}
}

// TestKinds: each kind is read by both its names, is made by one of the makers, and has a name of its own.
func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds() {
		for _, name := range []string{string(k), k.Wire()} {
			if got, err := ParseKind(name); err != nil || got != k {
				t.Errorf("%q is read as %q, %v", name, got, err)
			}
			if seen[name] {
				t.Errorf("%q is the name of two kinds", name)
			}
			seen[name] = true
		}
		var e Event
		switch k {
		case Processed:
			e = OfVariant(at, Variant{Source: "cat"})
		case Failed:
			e = OfVariant(at, Variant{Source: "cat", Error: "why"})
		case BatchComplete:
			e = OfBatch(at, Batch{Source: "cat"})
		case Labelled:
			e = OfLabels("", at, Labels{Source: "cat"})
		default:
			e = OfSource(k, at, Source{Source: "cat"})
		}
		if e.Kind != k || e.Source != "cat" || !json.Valid(e.Data) {
			t.Errorf("made %+v for %s", e, k)
		}
	}
	if _, err := ParseKind("exploded"); err == nil {
		t.Error("an unknown kind was read")
	}
}

func TestWrongMaker(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a source was said of a batch")
		}
	}()
	OfSource(BatchComplete, at, Source{})
}

func TestBackoff(t *testing.T) {
	most := Backoff{Draw: func() float64 { return 1 }}.withDefaults()
	half := Backoff{First: 2 * time.Second, Most: time.Minute, Draw: func() float64 { return .5 }}.withDefaults()
	none := Backoff{Draw: func() float64 { return 0 }}.withDefaults()
	brief := Backoff{Most: 10 * time.Millisecond, Draw: func() float64 { return 1 }}.withDefaults()
	for _, row := range []struct {
		backoff Backoff
		attempt int
		want    time.Duration
	}{
		{most, 1, time.Second}, {most, 2, 4 * time.Second}, {most, 3, 16 * time.Second}, {most, 5, 256 * time.Second},
		{most, 6, 5 * time.Minute}, {most, 1 << 40, 5 * time.Minute},
		{half, 1, time.Second}, {half, 2, 4 * time.Second}, {half, 9, 30 * time.Second},
		{none, 1, 0}, {none, 9, 0}, {brief, 1, 10 * time.Millisecond}, {brief, 2, 10 * time.Millisecond},
	} {
		if got := row.backoff.Pause(row.attempt); got != row.want {
			t.Errorf("after attempt %d: %s, want %s", row.attempt, got, row.want)
		}
	}
}
