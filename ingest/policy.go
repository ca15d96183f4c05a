package ingest

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"deckle/catalog"
	"deckle/transform"
)

// The bounds of what a policy may hold.
const (
	maxData    = 8 << 10 // bytes of JSON
	maxOutputs = 32
	maxOutput  = 128 // bytes of one output's name
	maxTags    = 32
	maxText    = 256 // bytes of a name or a tag
)

// Policy says what a grant lets in and what becomes of it. The zero value is what POST /token gives: anything within the
// service's limits, published at once.
type Policy struct {
	MaxBytes  int64              `json:"max_bytes,omitempty"`  // of the body; 0 for the service's limit, which is never exceeded
	MaxPixels int64              `json:"max_pixels,omitempty"` // width x height; likewise
	Formats   []transform.Format `json:"formats,omitempty"`    // of the body; none stands for all
	// Crop is cut from the upright picture, whatever the upload asks for; zero leaves that to the upload.
	Crop    transform.Crop `json:"crop,omitzero"`
	Private bool           `json:"private,omitempty"` // the record says so
	Later   bool           `json:"later,omitempty"`   // the upload is kept where no reader reaches it until Publish
	Replace bool           `json:"replace,omitempty"` // the upload may replace the source that has the id
	// KeepMetadata keeps EXIF, XMP and comments, which may tell where a picture was taken. Without it they are left out, if the
	// service is configured to do so; colour profile and orientation stay.
	KeepMetadata bool `json:"keep_metadata,omitempty"`
	// Whole has the file looked at to its end and decoded, as Config.Decode does for every upload.
	Whole   bool            `json:"whole,omitempty"`
	Outputs []string        `json:"outputs,omitempty"`  // variants rendered as soon as it is published: "300x300.webp"
	Data    json.RawMessage `json:"metadata,omitempty"` // a JSON object of at most 8 KiB, kept with the record
	Name    string          `json:"name,omitempty"`     // for people, at most 256 bytes
	Tags    []string        `json:"tags,omitempty"`     // at most 32, of at most 256 bytes each
	Owner   string          `json:"owner,omitempty"`    // whose picture it will be
	// TTL is how long the token is good: 0 for the service's own, at most Config.MaxTTL.
	TTL time.Duration `json:"ttl,omitempty"`
}

// check tells whether the policy can be given; the error wraps ErrPolicy.
func (p Policy) check(maxTTL time.Duration) error {
	bad := func(rule string, args ...any) error {
		return fmt.Errorf("%w: "+rule, append([]any{ErrPolicy}, args...)...)
	}
	switch {
	case p.MaxBytes < 0 || p.MaxPixels < 0 || p.TTL < 0:
		return bad("bounds are not negative")
	case p.TTL > maxTTL:
		return bad("a token is good for at most %s", maxTTL)
	case len(p.Outputs) > maxOutputs:
		return bad("at most %d outputs can be asked for", maxOutputs)
	case slices.ContainsFunc(p.Outputs, func(o string) bool { return o == "" || len(o) > maxOutput }):
		return bad("the name of an output has 1 to %d bytes", maxOutput)
	case p.Crop != (transform.Crop{}) && (p.Crop.X < 0 || p.Crop.Y < 0 || p.Crop.W < 1 || p.Crop.H < 1):
		return bad("a crop has a corner within the picture and sides of at least 1")
	}
	if err := checkData(p.Data); err != nil {
		return err
	}
	return checkLabels(p.Name, p.Tags)
}

func checkData(data json.RawMessage) error { return checkObject(data, maxData) }

func checkObject(data json.RawMessage, most int) error {
	if len(data) == 0 {
		return nil
	}
	var object map[string]json.RawMessage
	if len(data) > most || json.Unmarshal(data, &object) != nil || object == nil {
		return fmt.Errorf("%w: data is a JSON object of at most %d bytes", ErrPolicy, most)
	}
	// What the catalog would refuse is refused before anything is stored.
	if err := catalog.CheckData(string(data)); err != nil {
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	return nil
}

func checkLabels(name string, tags []string) error {
	if len(name) > maxText || len(tags) > maxTags || slices.ContainsFunc(tags, func(t string) bool { return t == "" || len(t) > maxText }) {
		return fmt.Errorf("%w: a name and each of at most %d tags have at most %d bytes", ErrPolicy, maxTags, maxText)
	}
	return nil
}

// limits are the service's, made narrower by the policy.
func (p Policy) limits(l transform.Limits) transform.Limits {
	if p.MaxBytes > 0 {
		l.SourceBytes = min(l.SourceBytes, p.MaxBytes)
	}
	if p.MaxPixels > 0 {
		l.SourcePixels = min(l.SourcePixels, p.MaxPixels)
	}
	return l
}

// admits tells whether a picture of this format may come in.
func (p Policy) admits(f transform.Format) error {
	if len(p.Formats) == 0 || slices.Contains(p.Formats, f) {
		return nil
	}
	return fmt.Errorf("%w: a %s may not be uploaded with this token", ErrPolicy, f)
}
