package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"deckle/cache"
	"deckle/fleet"
	"deckle/origin"
	"deckle/transform"
)

// fromFleet is what Access.From says of a picture that another node rendered while this one waited.
const fromFleet = "fleet"

// resultTime is how long a picture is handed to nodes that ask for its lease. It covers the time until it can be read from the
// shared tiers, which are written behind the answer: a node that missed it there a moment ago must not render it again.
const resultTime = 2 * time.Second

// errNoResult says that what another node left is no answer to the request.
var errNoResult = errors.New("proxy: no result")

// fill makes a variant, unless another node of the fleet does so at the moment or has just done it.
func (p *Proxy) fill(ctx context.Context, key cache.Key, r Request, info origin.Info, facts *fillFacts) (*cache.Entry, error) {
	if p.Leases == nil {
		return p.render(ctx, key, r, info, facts)
	}
	if err := p.failures.recall(key, time.Now()); err != nil {
		return nil, err
	}
	within, end := p.step(ctx, "lease")
	lease, result, err := p.Leases.Take(within, cache.SourceName(key.Source)+cache.VariantName(key))
	end(err)
	if err != nil {
		return nil, err
	}
	if lease == nil {
		entry, err := p.given(ctx, key, result)
		if errors.Is(err, errNoResult) {
			return p.render(ctx, key, r, info, facts)
		}
		facts.elsewhere = true
		return entry, err
	}
	defer lease.Drop() // for what goes wrong on this node alone, panics included: then another one tries
	begun := cache.Entry{Stored: time.Now()}
	entry, err := p.render(ctx, key, r, info, facts)
	if result, keep := resultOf(ctx, key, entry, err); result != nil && !p.Chain.Outdated(key.Source, &begun) {
		lease.Done(result, keep)
	}
	return entry, err
}

// given reads what another node left for a key: the entry or how its render failed. errNoResult means that this node has to
// render for itself.
func (p *Proxy) given(ctx context.Context, key cache.Key, result []byte) (*cache.Entry, error) {
	entry, err := readResult(key, result)
	switch {
	case errors.Is(err, errElsewhere):
		entry, _, err = p.Chain.Lookup(ctx, key)
		if err != nil {
			return nil, errNoResult
		}
	case errors.Is(err, errNoResult):
		return nil, err
	case err != nil:
		p.failures.note(ctx, key, err, time.Now())
		return nil, err
	}
	if p.Chain.Outdated(key.Source, entry) {
		return nil, errNoResult
	}
	return entry, nil
}

// The first byte of a result says what follows.
const (
	resultEntry     = 'E' // cache.Encode
	resultFailure   = 'F' // sharedFailure as JSON
	resultElsewhere = 'L' // nothing: the entry is longer than results may be, and on its way to the tiers
)

// errElsewhere says that the entry should be looked for in the tiers.
var errElsewhere = errors.New("proxy: the result is in the tiers")

// resultOf spells how a render ended for the other nodes; nil when that says nothing about what would become of it on them.
func resultOf(ctx context.Context, key cache.Key, entry *cache.Entry, err error) (result []byte, keep time.Duration) {
	if err != nil {
		failure, ok := shareFailure(err)
		keep = lastingFailure(ctx, err)
		if !ok || keep == 0 {
			return nil, 0
		}
		text, _ := json.Marshal(failure) // strings alone: cannot fail
		return append([]byte{resultFailure}, text...), keep
	}
	if len(entry.Body) < fleet.MaxResult { // before it is copied
		if result = append([]byte{resultEntry}, cache.Encode(key, entry)...); len(result) <= fleet.MaxResult {
			return result, resultTime
		}
	}
	return []byte{resultElsewhere}, resultTime
}

// readResult reads what resultOf spelled: an entry, a failure, errElsewhere, or errNoResult for anything else.
func readResult(key cache.Key, result []byte) (*cache.Entry, error) {
	if len(result) == 0 {
		return nil, errNoResult
	}
	switch result[0] {
	case resultEntry:
		if entry, err := cache.Decode(key, result[1:]); err == nil {
			return entry, nil
		}
	case resultFailure:
		var failure sharedFailure
		if err := json.Unmarshal(result[1:], &failure); err == nil {
			return nil, failure.err()
		}
	case resultElsewhere:
		return nil, errElsewhere
	}
	return nil, errNoResult
}

// sharedFailures are the failures that lie in the picture or in what is asked of it, so that every node would meet them.
var sharedFailures = map[string]error{
	"unsupported": transform.ErrUnsupported,
	"malformed":   transform.ErrMalformed,
	"limit":       transform.ErrLimit,
	"max_bytes":   transform.ErrMaxBytes,
	"format":      transform.ErrFormat,
	"crashed":     transform.ErrCrashed,
	"quarantined": transform.ErrQuarantined,
	"too_large":   origin.ErrTooLarge,
	"deadline":    context.DeadlineExceeded,
}

// kindSpec is the kind of a *transform.SpecError, which is a value and no sentinel.
const kindSpec = "spec"

// sharedFailure is a failure as nodes tell it each other.
type sharedFailure struct {
	Kind   string `json:"kind"`
	Text   string `json:"text"`
	Option string `json:"option,omitempty"`
	Value  string `json:"value,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

// maxFailureText bounds what is told of a failure, bytes.
const maxFailureText = 1 << 10

func shareFailure(err error) (sharedFailure, bool) {
	failure := sharedFailure{Text: strings.ToValidUTF8(err.Error(), "?")}
	failure.Text = failure.Text[:min(len(failure.Text), maxFailureText)]
	var spec *transform.SpecError
	if errors.As(err, &spec) {
		failure.Kind, failure.Option, failure.Value, failure.Hint = kindSpec, spec.Option, spec.Value, spec.Hint
		return failure, true
	}
	for kind, sentinel := range sharedFailures {
		if errors.Is(err, sentinel) {
			failure.Kind = kind
			return failure, true
		}
	}
	return failure, false
}

// err is the failure as this node would have met it; errNoResult for a kind that it does not know.
func (f sharedFailure) err() error {
	if f.Kind == kindSpec {
		return fmt.Errorf("on another node: %w", &transform.SpecError{Option: f.Option, Value: f.Value, Hint: f.Hint})
	}
	sentinel := sharedFailures[f.Kind]
	if sentinel == nil {
		return errNoResult
	}
	return &elsewhereError{text: "on another node: " + f.Text, sentinel: sentinel}
}

// elsewhereError is an error of another node: its words, and what they mean.
type elsewhereError struct {
	text     string
	sentinel error
}

func (e *elsewhereError) Error() string { return e.text }
func (e *elsewhereError) Unwrap() error { return e.sentinel }
