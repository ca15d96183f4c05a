package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"deckle/proxy"
	"deckle/signature"

	"golang.org/x/time/rate"
)

// Bounds of one picture's warming.
const (
	warmTimeout   = time.Minute // one request
	warmAttempts  = 10          // that are told to come again later, before the picture counts as failed
	maxRetryAfter = time.Minute
	maxReasons    = 100 // failures that are told of one by one
)

// warmAccept is sent with each request: .auto is warmed as most browsers ask for it.
const warmAccept = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"

// Warmer asks an edge for pictures as viewers do, so that they are there when viewers come.
type Warmer struct {
	Edge        func() string // base URL
	Rules       proxy.Rules   // by which two URLs of one picture are told to be that
	Concurrency int           // requests at one time unless a WarmOrder says so; at least 1
	// Sign returns the query that signs a GET of the path, undone of its encoding, for at least one request from now on; nil
	// where there is no secret. Signatures that nobody asks for are passed over, so that it is not asked which need one.
	Sign func(path string) string
}

// WarmOrder says what to warm.
type WarmOrder struct {
	Targets     Targets
	Top         int     // only so many, those named most often; 0 for all
	Rate        float64 // requests a second; 0 for no bound
	Concurrency int     // requests at one time; 0 for the warmer's
	// Progress, if set, is told of each picture that is done, one at a time.
	Progress func(r WarmReport)
}

// WarmReport says what warming did, or has done so far.
type WarmReport struct {
	Named        int           `json:"named"`    // times that a picture was named
	Skipped      int           `json:"skipped"`  // lines that named none
	Pictures     int           `json:"pictures"` // different ones that were to be warmed
	Rendered     int           `json:"rendered"`
	There        int           `json:"there"` // already
	Failed       int           `json:"failed"`
	Failures     []WarmFailure `json:"failures"` // the first hundred
	Milliseconds float64       `json:"milliseconds"`
}

// WarmFailure says why a picture is not warm.
type WarmFailure struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Done returns how many pictures have been dealt with.
func (r WarmReport) Done() int { return r.Rendered + r.There + r.Failed }

// Run warms until all is done or ctx ends, which is an error beside the report.
func (w *Warmer) Run(ctx context.Context, o WarmOrder) (WarmReport, error) {
	begin := time.Now()
	chosen := w.choose(o)
	run := &warming{edge: strings.TrimSuffix(w.Edge(), "/"), sign: w.Sign, limit: rate.NewLimiter(rate.Inf, 1), client: warmClient()}
	defer run.client.CloseIdleConnections()
	if o.Rate > 0 {
		run.limit.SetLimit(rate.Limit(o.Rate))
	}
	run.report = WarmReport{Skipped: o.Targets.Skipped, Pictures: len(chosen), Failures: []WarmFailure{}}
	for _, n := range o.Targets.Counts {
		run.report.Named += n
	}
	queue := make(chan string) // without capacity: what is not begun when ctx ends is not asked for
	var workers sync.WaitGroup
	for range max(1, cmp.Or(o.Concurrency, w.Concurrency)) {
		workers.Go(func() {
			for target := range queue {
				run.done(target, run.warm(ctx, target), o.Progress)
			}
		})
	}
feed:
	for _, target := range chosen {
		select {
		case queue <- target:
		case <-ctx.Done():
			break feed
		}
	}
	close(queue)
	workers.Wait()
	run.report.Milliseconds = float64(time.Since(begin).Microseconds()) / 1000
	return run.report, ctx.Err()
}

// choose names each picture once, by the first of its URLs, and keeps those that are named most.
func (w *Warmer) choose(o WarmOrder) []string {
	counts, first := map[string]int{}, map[string]string{}
	var names []string
	for _, target := range o.Targets.Paths {
		name := w.canonical(target)
		if counts[name] == 0 {
			names, first[name] = append(names, name), target
		}
		counts[name] += o.Targets.Counts[target]
	}
	if o.Top > 0 && o.Top < len(names) {
		slices.SortStableFunc(names, func(a, b string) int { return counts[b] - counts[a] })
		names = names[:o.Top]
	}
	for i, name := range names {
		names[i] = first[name]
	}
	return names
}

// canonical is the same text for all URLs of one picture. What cannot be read stands for itself: the edge will say why.
func (w *Warmer) canonical(target string) string {
	path, query, _ := strings.Cut(target, "?")
	r, err := proxy.ParseRequest(path, query, w.Rules)
	if err != nil {
		return target
	}
	return fmt.Sprint(r.Source, " ", r.Want, r.WebPOnly, " ", r.Spec)
}

// warming is one run.
type warming struct {
	edge   string
	sign   func(path string) string
	client *http.Client
	limit  *rate.Limiter
	pause  atomic.Int64 // until when nobody asks, Unix nanoseconds

	mu     sync.Mutex
	report WarmReport
}

// warmClient follows redirects within the edge, and takes one that leads elsewhere, to a public copy, for an answer.
func warmClient() *http.Client {
	return &http.Client{
		Timeout:   warmTimeout,
		Transport: &http.Transport{MaxIdleConnsPerHost: 1024, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext},
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			if to.URL.Host != via[0].URL.Host || len(via) > 3 {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
}

// verdict is what became of one picture: rendered, there, or failed for a reason.
type verdict struct {
	rendered bool
	reason   string
}

// warm asks for one picture until it gets an answer that is not "later".
func (w *warming) warm(ctx context.Context, target string) verdict {
	for attempt := 1; ; attempt++ {
		if err := w.await(ctx); err != nil {
			return verdict{reason: "stopped"}
		}
		v, later, err := w.ask(ctx, target)
		switch {
		case ctx.Err() != nil:
			return verdict{reason: "stopped"}
		case err != nil:
			return verdict{reason: unreached(err)}
		case later == 0 || attempt == warmAttempts:
			return v
		}
		w.pauseFor(later)
	}
}

// unreached is an error of the client without the URL that it repeats.
func unreached(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return err.Error()
}

// pauseFor has all workers wait: what refuses one would refuse the others.
func (w *warming) pauseFor(d time.Duration) {
	until := time.Now().Add(d).UnixNano()
	for {
		now := w.pause.Load()
		if now >= until || w.pause.CompareAndSwap(now, until) {
			return
		}
	}
}

// await waits for the end of a pause and for the rate.
func (w *warming) await(ctx context.Context) error {
	for {
		left := time.Until(time.Unix(0, w.pause.Load()))
		if left <= 0 {
			return w.limit.Wait(ctx)
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// ask requests a picture once. later is how long to wait before asking again; 0 when the verdict is final.
func (w *warming) ask(ctx context.Context, target string) (v verdict, later time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.edge+w.signed(target), nil)
	if err != nil {
		return verdict{}, 0, err
	}
	request.Header.Set("Accept", warmAccept)
	response, err := w.client.Do(request)
	if err != nil {
		return verdict{}, 0, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if response.StatusCode < http.StatusBadRequest {
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			return verdict{}, 0, err
		}
		_, detail, _ := strings.Cut(response.Header.Get("Cache-Status"), "detail=")
		return verdict{rendered: detail == "render"}, 0, nil
	}
	var problem struct{ Detail string }
	body, _ := io.ReadAll(io.LimitReader(response.Body, 16<<10))
	_ = json.Unmarshal(body, &problem) // without one the status says it all
	v.reason = strings.TrimSpace(response.Status + " " + problem.Detail)
	if s := response.StatusCode; s == http.StatusServiceUnavailable || s == http.StatusTooManyRequests {
		later = retryAfter(response.Header.Get("Retry-After"), time.Now())
	}
	return v, later, nil
}

// signed is a target with a signature of now, in the place of one that it came with: that of a log has mostly ended.
func (w *warming) signed(target string) string {
	path, query, _ := strings.Cut(target, "?")
	decoded, err := url.PathUnescape(path)
	if w.sign == nil || err != nil { // the edge says what is wrong with the path
		return target
	}
	if query = signature.Strip(query); query != "" {
		query += "&"
	}
	return path + "?" + query + w.sign(decoded)
}

// retryAfter reads a Retry-After (RFC 9110 section 10.2.3), a second when there is none.
func retryAfter(value string, now time.Time) time.Duration {
	wait := time.Second
	if seconds, err := strconv.Atoi(value); err == nil {
		wait = time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 100*time.Millisecond), maxRetryAfter)
}

func (w *warming) done(target string, v verdict, progress func(WarmReport)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case v.reason != "":
		w.report.Failed++
		if len(w.report.Failures) < maxReasons {
			w.report.Failures = append(w.report.Failures, WarmFailure{Path: target, Reason: v.reason})
		}
	case v.rendered:
		w.report.Rendered++
	default:
		w.report.There++
	}
	if progress != nil {
		progress(w.report)
	}
}
