// Package event owns what is told to others of what happens to pictures: which events there are, what each of them says, and
// how one is tried again until it has arrived. Where events wait meanwhile is an Outbox; how they travel is a Sender.
package event

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind says what happened.
type Kind string

// The kinds. Uploaded, Processed, Failed and BatchComplete are named on the wire, and say, what image-server's webhooks do.
const (
	Uploaded      Kind = "uploaded"       // a new source is in the store, and its record is written
	Replaced      Kind = "replaced"       // new bytes are in the place of a source's former ones
	Published     Kind = "published"      // a source is served from now on
	Unpublished   Kind = "unpublished"    // a source is kept and served no more
	Rotated       Kind = "rotated"        // a source was turned
	Deleted       Kind = "deleted"        // a source is gone
	Restored      Kind = "restored"       // a deleted source is back
	Processed     Kind = "processed"      // a variant was made
	Failed        Kind = "failed"         // a variant could not be made
	BatchComplete Kind = "batch_complete" // every variant that was asked for together is made, or has failed
	Labelled      Kind = "labelled"       // machines have said what a picture shows
)

// wires are the kinds in the order in which they are listed, and their names on the wire.
var wires = []struct {
	kind Kind
	name string
}{
	{Uploaded, "image.uploaded"},
	{Replaced, "image.replaced"},
	{Published, "image.published"},
	{Unpublished, "image.unpublished"},
	{Rotated, "image.rotated"},
	{Deleted, "image.deleted"},
	{Restored, "image.restored"},
	{Processed, "image.processed"},
	{Failed, "image.processing_failed"},
	{BatchComplete, "image.batch_complete"},
	{Labelled, "image.labelled"},
}

// Kinds returns all kinds.
func Kinds() []Kind {
	all := make([]Kind, len(wires))
	for i, w := range wires {
		all[i] = w.kind
	}
	return all
}

// Wire returns the kind's name on the wire; that of an unknown kind is made from its own.
func (k Kind) Wire() string {
	for _, w := range wires {
		if w.kind == k {
			return w.name
		}
	}
	return "image." + string(k)
}

// ParseKind reads a kind by its name or by the one on the wire. The error names all kinds.
func ParseKind(name string) (Kind, error) {
	for _, w := range wires {
		if name == string(w.kind) || name == w.name {
			return w.kind, nil
		}
	}
	names := make([]string, len(wires))
	for i, w := range wires {
		names[i] = string(w.kind)
	}
	return "", fmt.Errorf("the event %q is unknown; these are known: %s", name, strings.Join(names, ", "))
}

// Event is one thing that happened. It does not change once it is made, whoever gets it and how often.
type Event struct {
	ID     string // unique; the same at every delivery, so that a receiver can tell a repetition
	Kind   Kind
	Time   time.Time       // when it happened, milliseconds, UTC
	Source string          // id of the source; events of one source arrive in their order
	Data   json.RawMessage // an object: a Source, Variant, Batch or Labels
}

// Body returns the event as it is sent: {"event", "id", "timestamp", "data"}, compact, the same bytes each time.
func (e Event) Body() ([]byte, error) {
	return json.Marshal(struct {
		Event     string          `json:"event"`
		ID        string          `json:"id"`
		Timestamp time.Time       `json:"timestamp"` // RFC 3339
		Data      json.RawMessage `json:"data"`
	}{e.Kind.Wire(), e.ID, e.Time.UTC(), e.Data})
}

// Place is where image-server's clients look a source up. Both are empty where the id is not of the form
// namespace/3/3/3/23 hexadecimal digits.
type Place struct {
	Namespace string `json:"namespace"`
	Hash      string `json:"hash"`
}

// hashParts are the lengths of the segments that a hash is cut into.
var hashParts = []int{3, 3, 3, 23}

func placeOf(id string) Place {
	parts := strings.Split(id, "/")
	if len(parts) != 1+len(hashParts) {
		return Place{}
	}
	for i, part := range parts[1:] {
		if len(part) != hashParts[i] || strings.Trim(part, "0123456789abcdef") != "" {
			return Place{}
		}
	}
	return Place{Namespace: parts[0], Hash: strings.Join(parts[1:], "")}
}

// Source is what an event about a source says: what the store holds after it, or for Deleted held before it.
type Source struct {
	Place
	Width       int    `json:"width"`  // pixels, upright
	Height      int    `json:"height"` // pixels, upright
	ContentType string `json:"content_type"`
	RemoteURL   string `json:"remote_url"` // where the stored bytes can be had; empty when nowhere
	Source      string `json:"source"`     // id
	Version     string `json:"version"`
	SHA256      string `json:"sha256"` // of the stored bytes, lower-case hexadecimal
	Bytes       int64  `json:"bytes"`
	Format      string `json:"format"` // as transform.Format spells it
}

// Variant is what Processed and Failed say.
type Variant struct {
	Place
	Filename  string `json:"filename"` // the last segment of the variant's URL
	Format    string `json:"format"`
	Width     int    `json:"width"`      // of the picture that was made, pixels; 0 when it failed
	Height    int    `json:"height"`     // likewise
	Quality   int    `json:"quality"`    // 0 where the format or the request has none
	RemoteURL string `json:"remote_url"` // where the variant can be had; empty when nowhere
	Source    string `json:"source"`     // id
	Version   string `json:"version"`    // of the source
	Bytes     int64  `json:"bytes"`
	Error     string `json:"error,omitempty"` // why it could not be made, in words for the public
}

// Batch is what BatchComplete says.
type Batch struct {
	Place
	SourceURL string `json:"source_url,omitempty"` // where the source was fetched from, if it was
	Source    string `json:"source"`               // id
	Processed int    `json:"processed"`            // variants that are there now
	Failed    int    `json:"failed"`               // variants that could not be made
}

// Label is one thing that a machine says of a picture.
type Label struct {
	Name       string  `json:"name"`
	Category   string  `json:"category"`
	Confidence float64 `json:"confidence"` // 0-100
	Source     string  `json:"source"`     // who says so: a labeler's name
}

// Labels is what Labelled says.
type Labels struct {
	Place
	Source  string   `json:"source"`  // id
	Version string   `json:"version"` // of the source
	Labels  []Label  `json:"labels"`  // all that are known of this version, the surest first; at most MaxLabels
	Failed  []string `json:"failed"`  // labelers that were given up
}

// MaxLabels is how many labels an event says at most.
const MaxLabels = 500

// sourceKinds are those that say a Source.
var sourceKinds = []Kind{Uploaded, Replaced, Published, Unpublished, Rotated, Deleted, Restored}

// OfSource makes an event about a source. Its Place is filled in from the id. A kind that says something else panics.
func OfSource(k Kind, at time.Time, s Source) Event {
	if !slices.Contains(sourceKinds, k) {
		panic(fmt.Sprintf("event: %q says no source", k))
	}
	s.Place = placeOf(s.Source)
	return made(k, at, s.Source, s)
}

// OfVariant makes a Failed event when the variant has an Error, else a Processed one.
func OfVariant(at time.Time, v Variant) Event {
	k := Processed
	if v.Error != "" {
		k = Failed
	}
	v.Place = placeOf(v.Source)
	return made(k, at, v.Source, v)
}

// OfBatch makes a BatchComplete event.
func OfBatch(at time.Time, b Batch) Event {
	b.Place = placeOf(b.Source)
	return made(BatchComplete, at, b.Source, b)
}

// OfLabels makes a Labelled event with an id of its maker's, so that one that is made again is the same one to all receivers. An
// empty id is drawn.
func OfLabels(id string, at time.Time, l Labels) Event {
	l.Place = placeOf(l.Source)
	// Both are lists in JSON, empty ones too.
	l.Labels = append([]Label{}, l.Labels[:min(len(l.Labels), MaxLabels)]...)
	l.Failed = append([]string{}, l.Failed...)
	e := made(Labelled, at, l.Source, l)
	if id != "" {
		e.ID = id
	}
	return e
}

func made(k Kind, at time.Time, source string, data any) Event {
	text, _ := json.Marshal(data) // strings and numbers: cannot fail
	return Event{ID: rand.Text(), Kind: k, Time: at.UTC().Truncate(time.Millisecond), Source: source, Data: text}
}
