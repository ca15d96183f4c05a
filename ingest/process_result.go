package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"deckle/catalog"
	"deckle/event"
	"deckle/origin"
	"deckle/transform"
)

// outputResult is what is kept of an output that ended.
type outputResult struct {
	Rendered
	Failure *outputFailure `json:",omitempty"`
	Ended   time.Time      `json:",omitzero"`
}

// outputFailure is an error as the catalog keeps it.
type outputFailure struct {
	Kind                string // of finalFailures, kindSpec, or empty
	Text                string // for the log
	Option, Value, Hint string `json:",omitempty"` // of kindSpec
}

// kindSpec is the kind of a *transform.SpecError, which is a value and no sentinel.
const kindSpec = "spec"

// finalFailures are the errors that lie in the picture or in what is asked of it, and what the public is told of them. Others are
// the moment's, and the output is tried again.
var finalFailures = []struct {
	kind string
	err  error
	text string
}{
	{"missing", origin.ErrNotFound, "there is no such source"},
	{"malformed", transform.ErrMalformed, "the source is broken"},
	{"unsupported", transform.ErrUnsupported, "the source is of no accepted type"},
	{"limit", transform.ErrLimit, "the picture is too large"},
	{"too large", origin.ErrTooLarge, "the source is too large"},
	{"max bytes", transform.ErrMaxBytes, "no quality makes the picture as small"},
	{"format", transform.ErrFormat, "the format cannot be written here"},
	{"variant", transform.ErrNoVariant, "it is no name of a variant"},
	{"crashed", transform.ErrCrashed, "the source could not be rendered"},
	{"quarantined", transform.ErrQuarantined, "the source could not be rendered"},
	{"id", origin.ErrBadID, "there is no such source"},
	{"deadline", context.DeadlineExceeded, "it took too long"},
}

// failureOf spells an error, and tells whether it is final.
func failureOf(err error) (f *outputFailure, final bool) {
	f = &outputFailure{Text: err.Error()}
	f.Text = f.Text[:min(len(f.Text), 300)]
	var spec *transform.SpecError
	if errors.As(err, &spec) {
		f.Kind, f.Option, f.Value, f.Hint = kindSpec, spec.Option, spec.Value, spec.Hint
		return f, true
	}
	for _, known := range finalFailures {
		if errors.Is(err, known.err) {
			f.Kind = known.kind
			return f, true
		}
	}
	return f, false
}

// err is the error as it was met, as far as callers branch on it.
func (f *outputFailure) err() error {
	if f.Kind == kindSpec {
		return &transform.SpecError{Option: f.Option, Value: f.Value, Hint: f.Hint}
	}
	for _, known := range finalFailures {
		if f.Kind == known.kind {
			return fmt.Errorf("%w: %s", known.err, f.Text)
		}
	}
	return fmt.Errorf("processing failed: %s", f.Text)
}

// public says why an output failed in words that tell nothing of the server.
func (f *outputFailure) public() string {
	if f.Kind == kindSpec {
		return fmt.Sprintf("%s %s: %s", f.Option, f.Value, f.Hint)
	}
	for _, known := range finalFailures {
		if f.Kind == known.kind {
			return known.text
		}
	}
	return "processing failed"
}

// resultOf reads what became of an output.
func resultOf(state catalog.JobState) (Rendered, error) {
	made, _, err := endOf(state)
	return made, err
}

// endOf is resultOf with the time of the end, zero where it is not known.
func endOf(state catalog.JobState) (Rendered, time.Time, error) {
	var result outputResult
	if err := json.Unmarshal(state.Result, &result); err != nil {
		return Rendered{}, time.Time{}, fmt.Errorf("processing failed: %s", state.Reason)
	}
	if result.Failure != nil {
		return Rendered{}, result.Ended, result.Failure.err()
	}
	return result.Rendered, result.Ended, nil
}

// tellOutput makes the events of an output that ended, and, with all of its batch, that of the batch.
func (s *Service) tellOutput(job catalog.Job, what outputJob, result outputResult) func([]catalog.JobState) []catalog.Event {
	now := s.config.Now()
	variant := event.Variant{
		Filename: what.Output, Format: result.Format, Width: result.Width, Height: result.Height, Quality: result.Quality,
		Bytes: result.Bytes, Source: job.Subject, Version: job.Version,
	}
	if result.Failure != nil {
		variant.Error = result.Failure.public()
	}
	return func(batch []catalog.JobState) []catalog.Event {
		events := []catalog.Event{Kept(event.OfVariant(now, variant))}
		if len(batch) == 0 {
			return events
		}
		complete := event.Batch{Source: job.Subject}
		for _, state := range batch {
			if _, err := resultOf(state); err != nil {
				complete.Failed++
			} else {
				complete.Processed++
			}
		}
		return append(events, Kept(event.OfBatch(now, complete)))
	}
}
