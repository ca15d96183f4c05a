package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"deckle/transform"
)

// setup is the first frame, from the parent to a new child.
type setup struct {
	Settings  json.RawMessage // Config.Settings
	Memory    int64           // Config.Memory
	Drop      bool            // give up root
	Namespace bool            // the child has a network namespace of its own
}

// hello is the child's answer to setup: what it can do, or why it will not.
type hello struct {
	Fault      string
	Backend    string
	Generation string
	Writes     []transform.Format
	Keeps      bool // the engine is a transform.Keeper
	Contained  Containment
}

// request asks for one rendering. The bytes that it is made from come beside it, as a descriptor: the source, or with Header
// the kept levels of the source that it describes. With Room a second one comes, of that many bytes, for levels to be kept in.
type request struct {
	Seq    uint64 // of the child's requests; the reply repeats it, so that a stray one is never taken for this one's
	Size   int64  // of what it is made from, bytes
	Spec   transform.Spec
	Header *transform.Header `json:",omitempty"`
	Room   int64             `json:",omitempty"`
	First  int               `json:",omitempty"` // level to keep from
	Stages bool              `json:",omitempty"` // see transform.WithStages
}

// request returns what a child is to be told, without a number, and the descriptors that go along.
func (j job) request() (r request, rights []int) {
	r = request{Size: int64(len(j.source)), Spec: j.spec, Stages: j.stages}
	switch {
	case j.kept != nil:
		r.Size, r.Header = int64(j.kept.size), &j.header
		return r, []int{j.kept.fd}
	case j.raising != nil:
		r.Room, r.First = int64(j.room), j.raising.first
		return r, []int{j.shared, j.raising.fd}
	}
	return r, []int{j.shared}
}

// reply is a picture, whose bytes are the frame's body, or a fault.
type reply struct {
	Seq     uint64
	Picture *transform.Picture `json:",omitempty"`
	Fault   *fault             `json:",omitempty"`
	Levels  int                `json:",omitempty"` // bytes of the room that kept levels take
	Held    int64              // Memory.Held
	Most    int64              // Memory.Most
}

// fault is an error on its way from a child.
type fault struct {
	Kind string               `json:",omitempty"` // a name in kinds
	Text string               // the error's
	Spec *transform.SpecError `json:",omitempty"`
}

// kinds are the errors that callers branch on, by the name under which they travel. Of an error that wraps several the first
// counts.
var kinds = []struct {
	name string
	err  error
}{
	{"unsupported", transform.ErrUnsupported},
	{"limit", transform.ErrLimit},
	{"format", transform.ErrFormat},
	{"max bytes", transform.ErrMaxBytes},
	{"malformed", transform.ErrMalformed},
	{"busy", transform.ErrBusy},
	{"no variant", transform.ErrNoVariant},
	{"crashed", transform.ErrCrashed},
	{"quarantined", transform.ErrQuarantined},
	{"canceled", context.Canceled},
	{"deadline", context.DeadlineExceeded},
}

// pack makes an error ready to travel.
func pack(err error) *fault {
	f := &fault{Text: printable(err.Error(), maxText)}
	var spec *transform.SpecError
	if errors.As(err, &spec) {
		f.Spec = spec
	}
	for _, kind := range kinds {
		if errors.Is(err, kind.err) {
			f.Kind = kind.name
			break
		}
	}
	return f
}

// unpack returns the error that came. Its text is a child's: it is cut and cleaned before anybody reads it.
func (f *fault) unpack() error {
	if f.Spec != nil {
		return &transform.SpecError{
			Option: printable(f.Spec.Option, maxText), Value: printable(f.Spec.Value, maxText), Hint: printable(f.Spec.Hint, maxText),
		}
	}
	e := &renderError{text: printable(f.Text, maxText)}
	for _, kind := range kinds {
		if kind.name == f.Kind {
			e.kind = kind.err
		}
	}
	return e
}

// renderError is an error of a child: its text, and the sentinel that it wraps, if any.
type renderError struct {
	text string
	kind error
}

func (e *renderError) Error() string { return e.text }
func (e *renderError) Unwrap() error { return e.kind }

// maxText bounds the text of an error, bytes.
const maxText = 300

// printable returns text in one line of printable ASCII, at most most bytes of it.
func printable(text string, most int) string {
	text = text[:min(len(text), most)]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}

// accept checks what a child says of the picture that it made: a child may have been taken over by the source it decoded.
func (r reply) accept(body []byte, spec transform.Spec, header transform.Header, writes map[transform.Format]bool, limits transform.Limits) (*transform.Picture, error) {
	p := r.Picture
	switch {
	case p == nil:
		return nil, fmt.Errorf("%w: neither a picture nor a fault", errFrame)
	case !writes[p.Format] || spec.Format != transform.Source && spec.Format != transform.Auto && spec.Format != p.Format:
		return nil, fmt.Errorf("%w: a picture of format %d was not asked for", errFrame, uint8(p.Format))
	case strings.HasPrefix(p.Format.MediaType(), "image/") && transform.Sniff(body) != p.Format:
		return nil, fmt.Errorf("%w: the bytes are no %s", errFrame, p.Format)
	case p.Width < 1 || p.Height < 1 || p.Width > limits.OutputSide || p.Height > limits.OutputSide || p.Frames < 1 || p.Frames > max(1, limits.Frames):
		return nil, fmt.Errorf("%w: a picture of %dx%d, %d frames", errFrame, p.Width, p.Height, p.Frames)
	}
	if err := acceptStages(p.Stages); err != nil {
		return nil, err
	}
	p.Body, p.Source = body, header
	return p, nil
}

// The bounds of what a child says of the parts of its work.
const (
	maxStages    = 32
	maxStageName = 16        // bytes
	maxStage     = time.Hour // no render has as long
)

// acceptStages checks them: names are words, and times are no less than nothing and no more than any render takes.
func acceptStages(stages []transform.Stage) error {
	if len(stages) > maxStages {
		return fmt.Errorf("%w: %d stages", errFrame, len(stages))
	}
	for _, s := range stages {
		word := s.Name != "" && len(s.Name) <= maxStageName && strings.Trim(s.Name, "abcdefghijklmnopqrstuvwxyz") == ""
		if !word || s.Took < 0 || s.Took > maxStage {
			return fmt.Errorf("%w: a stage %q of %s", errFrame, printable(s.Name, maxStageName), s.Took)
		}
	}
	return nil
}
