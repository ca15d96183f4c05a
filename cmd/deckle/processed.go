package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"deckle/catalog"
	"deckle/event"
	"deckle/ingest"
	"deckle/proxy"
)

const (
	// noticeQueue is how many events of renders wait to be written; at a busy node's fifty a second that is twenty seconds
	// of a database that does not answer.
	noticeQueue = 1024
	// noticeBatch is how many of them are written in one transaction.
	noticeBatch = 100
	// noticeTimeout bounds that.
	noticeTimeout = 10 * time.Second
)

// notices makes events of what the edge renders. They tell of caches that fill and of no record, so that an answer does not
// wait for them: they are written behind it, and a crash within moments loses them.
type notices struct {
	records           *catalog.Catalog
	log               *slog.Logger
	processed, failed bool // somebody wants them
	queue             chan event.Event
	dropped           atomic.Uint64
}

var _ proxy.Witness = (*notices)(nil)

// openNotices returns nil when nobody wants to know of renders.
func (n *node) openNotices(records *catalog.Catalog) *notices {
	wanted := func(k event.Kind) bool {
		return slices.ContainsFunc(n.config.events.endpoints, func(e webhookEndpoint) bool {
			return len(e.kinds) == 0 || slices.Contains(e.kinds, string(k))
		})
	}
	s := &notices{
		records: records, log: n.log, processed: wanted(event.Processed), failed: wanted(event.Failed),
		queue: make(chan event.Event, noticeQueue),
	}
	if !s.processed && !s.failed {
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.run(ctx) })
	n.ends.add(func() error { stop(); running.Wait(); return nil })
	return s
}

// Rendered puts an event in the queue, unless it is full. Of an output that was ordered the job tells, by the name that was asked for.
func (s *notices) Rendered(r proxy.Rendering) {
	if r.Ordered {
		return
	}
	v := event.Variant{
		Filename: r.Source[strings.LastIndexByte(r.Source, '/')+1:] + r.Spec.String(),
		Format:   r.Spec.Format.String(), Quality: r.Spec.Quality, Source: r.Source, Version: r.Version,
	}
	wanted := s.processed
	if r.Err != nil {
		reason, final := publicReason(r.Err)
		v.Error, wanted = reason, s.failed && final
	} else {
		v.Format, v.Width, v.Height, v.Bytes = r.Picture.Format.String(), r.Picture.Width, r.Picture.Height, int64(len(r.Picture.Body))
	}
	if !wanted {
		return
	}
	select {
	case s.queue <- event.OfVariant(time.Now(), v):
	default:
		s.dropped.Add(1)
	}
}

// publicReason is what a client is told of an error; it is final when it is the picture's own, and not the moment's.
func publicReason(err error) (reason string, final bool) {
	status, body := proxy.StatusOf(err)
	var problem struct{ Detail string }
	_ = json.Unmarshal(body, &problem) // it was marshalled a moment ago
	switch status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, 499: // busy, or nobody waits any more
		return problem.Detail, false
	}
	return problem.Detail, true
}

// run writes what comes, many at a time, until ctx ends and the queue is empty.
func (s *notices) run(ctx context.Context) {
	for {
		select {
		case e := <-s.queue:
			s.write(e)
			continue
		default:
		}
		select {
		case e := <-s.queue:
			s.write(e)
		case <-ctx.Done():
			return
		}
	}
}

func (s *notices) write(first event.Event) {
	batch := []catalog.Event{ingest.Kept(first)}
	for len(batch) < min(noticeBatch, len(s.queue)+1) {
		batch = append(batch, ingest.Kept(<-s.queue)) // nobody else receives
	}
	ctx, cancel := context.WithTimeout(context.Background(), noticeTimeout)
	defer cancel()
	if err := s.records.Append(ctx, batch...); err != nil {
		s.dropped.Add(uint64(len(batch)))
		s.log.Warn("events of renders were dropped", slog.Int("events", len(batch)), slog.Any("cause", err))
	}
}
