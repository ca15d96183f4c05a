package origin

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ask is one question to the store, shared by all who wait for it. Its result is kept only while the shard still lists it:
// Set and Invalidate strike it off.
type ask struct {
	done  chan struct{}
	began time.Time
	info  Info  // set before done is closed
	err   error // set before done is closed
}

// join returns the question about id that is under way, or starts one. The shard is locked.
func (v *Versions) join(s *versionShard, id string, now time.Time, behind bool) (*ask, error) {
	if question, ok := s.asked[id]; ok {
		return question, nil
	}
	if err := v.admit(behind); err != nil {
		return nil, err
	}
	question := &ask{done: make(chan struct{}), began: now}
	s.asked[id] = question
	go v.run(s, id, question)
	return question, nil
}

// admit counts a question in. Refreshes take a quarter of the places, so that those who wait find one.
func (v *Versions) admit(behind bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	limit := v.config.Asks
	if behind {
		limit = max(1, limit/4)
	}
	switch {
	case v.closed:
		return fmt.Errorf("%w: closing", ErrUnavailable)
	case v.running >= limit:
		return fmt.Errorf("%w: %d questions to it under way", ErrUnavailable, v.running)
	}
	v.running++
	v.asks.Add(1)
	return nil
}

// run asks the store and tells those who wait, whatever happens.
func (v *Versions) run(s *versionShard, id string, question *ask) {
	defer v.asks.Done()
	defer func() {
		v.mu.Lock()
		v.running--
		v.mu.Unlock()
	}()
	defer close(question.done)
	defer v.keep(s, id, question)
	// A panic in the store must not strand those who wait, nor end the process for one picture.
	defer func() {
		if p := recover(); p != nil {
			question.info, question.err = Info{}, fmt.Errorf("stat: %w: panic: %v", ErrUnavailable, p)
		}
	}()
	ctx, cancel := context.WithTimeout(v.base, v.config.Timeout)
	defer cancel()
	question.info, question.err = v.reader.Stat(ctx, id)
	if question.err != nil && ctx.Err() != nil && !errors.Is(question.err, ErrUnavailable) {
		question.err = fmt.Errorf("%w: %w", ErrUnavailable, question.err)
	}
}

// keep remembers a question's result unless Set or Invalidate came in between.
func (v *Versions) keep(s *versionShard, id string, question *ask) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked[id] != question {
		return
	}
	delete(s.asked, id)
	switch {
	case question.err == nil:
		s.known.Add(id, remembered{info: question.info, at: question.began})
	case errors.Is(question.err, ErrNotFound):
		s.known.Add(id, remembered{missing: true, at: question.began})
	case unanswered(question.err):
		if known, ok := s.known.Peek(id); ok && !known.missing {
			known.failed = question.began
			s.known.Add(id, known)
		}
	default:
		s.known.Remove(id)
	}
}
