package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/label"
	"deckle/origin"
	"deckle/transform"
)

// crowd is an engine that is full for a while, and says that viewers wait.
type crowd struct {
	transform.Engine
	mu   sync.Mutex
	full int // renders that are refused
	many int // times that viewers wait
}

func (c *crowd) Render(ctx context.Context, source []byte, spec transform.Spec) (*transform.Picture, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.many > 0 {
		return nil, errors.New("rendered before viewers")
	}
	if c.full--; c.full >= 0 {
		return nil, transform.ErrBusy
	}
	return c.Engine.Render(ctx, source, spec)
}

func (c *crowd) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.many > 0 {
		c.many--
		return 1
	}
	return 0
}

func TestLabelsBehindViewers(t *testing.T) {
	s := newStudio(t, map[string]*oracle{"a": saying("dog")}, func(c *LabelConfig) {
		c.Engine = &crowd{Engine: c.Engine, full: 3, many: 3}
	})
	s.add("dog", 1)
	s.run()
	s.settled()
	if got := s.labels("dog"); got != "dog@a" || s.labeller.Stats() != (LabelStats{Labelled: 1}) {
		t.Errorf("labels %q, %+v", got, s.labeller.Stats())
	}
}

func TestLabelFaults(t *testing.T) {
	t.Run("panic", func(t *testing.T) {
		a := &oracle{says: func(context.Context, label.Picture, int) ([]label.Label, error) { panic("on purpose") }}
		s := newStudio(t, map[string]*oracle{"a": a, "b": saying("dog")})
		s.add("dog", 1)
		s.run()
		s.settled()
		if dead := s.dead(); len(dead) != 1 || !strings.Contains(dead[0].Reason, "a: ") || s.labels("dog") != "dog@b" {
			t.Errorf("dead %+v, labels %q", dead, s.labels("dog"))
		}
	})
	t.Run("broken picture", func(t *testing.T) {
		s := newStudio(t, map[string]*oracle{"a": saying("dog")}, func(c *LabelConfig) { c.Engine = &goEngine{err: transform.ErrMalformed} })
		s.add("dog", 1)
		s.run()
		s.settled()
		if told := s.told("dog"); len(s.dead()) != 1 || len(told) != 1 || !strings.Contains(told[0], `"failed":["a"]`) {
			t.Errorf("dead %+v, told %q", s.dead(), told)
		}
	})
	t.Run("crashes", func(t *testing.T) {
		s := newStudio(t, map[string]*oracle{"a": saying("dog")}, func(c *LabelConfig) { c.Engine = &goEngine{err: transform.ErrCrashed} })
		s.add("dog", 1)
		s.run()
		s.settled()
		if dead := s.dead(); len(dead) != 1 || dead[0].Failures != 3 {
			t.Errorf("dead %+v", dead)
		}
	})
}

// TestLabelsWithoutStore: that the store is away is no fault of the picture, however long it lasts.
func TestLabelsWithoutStore(t *testing.T) {
	away := &awayReader{left: 3 * 4} // more often than Tries
	s := newStudio(t, map[string]*oracle{"a": saying("dog")}, func(c *LabelConfig) {
		away.Reader, c.Store = c.Store, away
		c.Lease = 10 * time.Second // what is waited for each time; nothing here takes that long
	})
	s.add("dog", 1)
	s.run()
	s.settled()
	if got := s.labels("dog"); got != "dog@a" || s.labeller.Stats() != (LabelStats{Labelled: 1}) || away.left > 0 {
		t.Errorf("labels %q, %+v; the store was away %d times less", got, s.labeller.Stats(), away.left)
	}
}

// awayReader is a store that is away for a while.
type awayReader struct {
	origin.Reader
	mu   sync.Mutex
	left int
}

func (r *awayReader) Open(ctx context.Context, id string, part origin.Range) (*origin.Object, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left > 0 {
		r.left--
		return nil, fmt.Errorf("open: %w", origin.ErrUnavailable)
	}
	return r.Reader.Open(ctx, id, part)
}
