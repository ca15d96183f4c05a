package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"deckle/event/statsd"
	"deckle/proxy"
	"deckle/transform"
)

// observers tells each of them.
type observers struct {
	each    []proxy.Observer
	witness proxy.Witness // optional
}

var (
	_ proxy.Observer = observers{}
	_ proxy.Witness  = observers{}
)

// Request tells of an answer.
func (o observers) Request(a *proxy.Access) {
	for _, each := range o.each {
		each.Request(a)
	}
}

// Fetch tells of a source that was read.
func (o observers) Fetch(took time.Duration, bytes int, err error) {
	for _, each := range o.each {
		each.Fetch(took, bytes, err)
	}
}

// Render tells of a render.
func (o observers) Render(f transform.Format, took time.Duration, err error) {
	for _, each := range o.each {
		each.Render(f, took, err)
	}
}

// Rendered tells of a variant.
func (o observers) Rendered(r proxy.Rendering) {
	if o.witness != nil {
		o.witness.Rendered(r)
	}
}

// statsdCounts gives what the edge does the names that image-server sends, and those that its documentation has, which differ.
type statsdCounts struct {
	uploads, uploadsFailed, originals *statsd.Counter
	uploadTime, pictureTime           *statsd.Timer
	pictures, picturesFailed          *statsd.Counter
	pictureFormats                    map[string]*statsd.Counter // by extension
	found                             *statsd.Counter
	made, failed                      *statsd.Counter
	madeFormats, failedFormats        map[transform.Format]*statsd.Counter
	fetched, unfetched                *statsd.Counter
}

var _ proxy.Observer = (*statsdCounts)(nil)

// openStatsd sends to the configured server until ends are closed.
func openStatsd(c eventing, ends *closers) (*statsdCounts, error) {
	client, err := statsd.Dial(c.statsd, c.statsdPrefix)
	if err != nil {
		return nil, err
	}
	ends.add(client.Close)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { client.Run(ctx) })
	ends.add(func() error { stop(); running.Wait(); return nil })
	return newStatsdCounts(client), nil
}

func newStatsdCounts(c *statsd.Client) *statsdCounts {
	s := &statsdCounts{
		uploads: c.Counter("new_image.request_count"), uploadsFailed: c.Counter("new_image.request_failed_count"),
		originals: c.Counter("upload.original_count"), uploadTime: c.Timer("new_image.request_latency"),
		pictureTime: c.Timer("resize_image.request_latency"), pictures: c.Counter("image_request"), picturesFailed: c.Counter("image_request_fail"),
		found: c.Counter("processing.version.noop_count"), made: c.Counter("processing.version.ok_count"), failed: c.Counter("processing.version.failed_count"),
		fetched: c.Counter("original_downloaded"), unfetched: c.Counter("original_unavailable"),
		pictureFormats: map[string]*statsd.Counter{}, madeFormats: map[transform.Format]*statsd.Counter{}, failedFormats: map[transform.Format]*statsd.Counter{},
	}
	for f := transform.JPEG; f <= transform.SVG; f++ {
		s.madeFormats[f] = c.Counter("processing.version.ok." + f.String() + "_count")
		s.failedFormats[f] = c.Counter("processing.version.failed." + f.String() + "_count")
	}
	for _, extension := range []string{"jpg", "jpeg", "png", "webp", "avif", "gif", "jxl", "heic", "tiff", "auto"} {
		s.pictureFormats[extension] = c.Counter("image_request." + extension)
	}
	return s
}

// Request counts uploads, and requests for pictures.
func (s *statsdCounts) Request(a *proxy.Access) {
	ok := a.Status < 400
	switch {
	case a.Method == "POST":
		s.uploads.Add(1)
		s.uploadTime.Add(a.Took)
		if ok {
			s.originals.Add(1)
		} else {
			s.uploadsFailed.Add(1)
		}
	case a.Source != "":
		s.pictures.Add(1)
		s.pictureTime.Add(a.Took)
		s.pictureFormats[a.Path[strings.LastIndexByte(a.Path, '.')+1:]].Add(1) // one that is not listed has no counter
		if !ok {
			s.picturesFailed.Add(1)
		} else if a.Outcome.From != "" && a.From == a.Outcome.From {
			s.found.Add(1) // in a tier
		}
	}
}

// Fetch counts sources that were read.
func (s *statsdCounts) Fetch(_ time.Duration, _ int, err error) {
	if err != nil {
		s.unfetched.Add(1)
		return
	}
	s.fetched.Add(1)
}

// Render counts variants that were made.
func (s *statsdCounts) Render(f transform.Format, _ time.Duration, err error) {
	if err != nil {
		s.failed.Add(1)
		s.failedFormats[f].Add(1)
		return
	}
	s.made.Add(1)
	s.madeFormats[f].Add(1)
}
