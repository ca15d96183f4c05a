package catalogtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/catalog"
)

// RunJobs checks the laws of jobs on catalogs that open returns, each empty and closed by whoever opened it.
func RunJobs(t *testing.T, open func(t *testing.T) *catalog.Catalog) {
	t.Run("once", func(t *testing.T) { testJobOnce(t, open(t)) })
	t.Run("leases", func(t *testing.T) { testJobLeases(t, open(t)) })
	t.Run("dead", func(t *testing.T) { testDeadJobs(t, open(t)) })
	t.Run("batches", func(t *testing.T) { testBatches(t, open(t)) })
	t.Run("of a subject", func(t *testing.T) { testJobsOf(t, open(t)) })
	t.Run("with a change", func(t *testing.T) { testJobsOfChange(t, open(t)) })
	t.Run("many workers", func(t *testing.T) { testManyWorkers(t, open(t)) })
	t.Run("sweep", func(t *testing.T) { testSweepJobs(t, open(t)) })
}

func job(subject, payload string) catalog.Job {
	return catalog.Job{Kind: "work", Subject: subject, Version: "v1", Payload: []byte(payload), Due: epoch}
}

// leased leases up to n jobs at a time after the epoch.
func leased(t *testing.T, c *catalog.Catalog, owner string, after time.Duration, n int) []catalog.Job {
	t.Helper()
	now := epoch.Add(after)
	list, err := c.LeaseJobs(t.Context(), "work", owner, n, now.Add(Lease), now)
	must(t, err)
	return list
}

// testJobOnce: one job for each kind, subject, version and payload, until it is done; then it can come again.
func testJobOnce(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	woken := 0
	c.OnEnqueue(func(kind string) { woken++ })
	must(t, c.Enqueue(ctx))
	if woken != 0 {
		t.Error("told of no jobs")
	}
	must(t, c.Enqueue(ctx, job("cat", "a"), job("cat", "a"), job("cat", "b"), job("dog", "a")))
	must(t, c.Enqueue(ctx, job("cat", "a")))
	if woken != 2 {
		t.Errorf("told %d times, want once for each Enqueue", woken)
	}
	if n, next, err := c.PendingJobs(ctx, "work", 100); n != 3 || err != nil || !next.Equal(epoch) {
		t.Errorf("pending %d, %v, %v; want 3", n, next, err)
	}
	if n, _, err := c.PendingJobs(ctx, "work", 2); n != 2 || err != nil {
		t.Errorf("pending, counted to 2: %d, %v", n, err)
	}
	if n, next, err := c.PendingJobs(ctx, "other", 2); n != 0 || !next.IsZero() || err != nil {
		t.Errorf("pending of another kind: %d, %v, %v", n, next, err)
	}
	list := leased(t, c, "a", 0, 10)
	if len(list) != 3 {
		t.Fatalf("leased %d, want 3", len(list))
	}
	must(t, c.Enqueue(ctx, job("cat", "a"))) // it is under way
	for _, j := range list {
		if j.Kind != "work" || j.Version != "v1" || j.Attempts != 1 || j.Owner != "a" || j.ID < 1 || j.ID >= 1<<53 {
			t.Errorf("leased %+v", j)
		}
		must(t, c.FinishJob(ctx, j))
		wants(t, "finish again", c.FinishJob(ctx, j), catalog.ErrLease)
	}
	if again := leased(t, c, "a", time.Hour, 10); len(again) != 0 {
		t.Errorf("done jobs are leased: %+v", again)
	}
	must(t, c.Enqueue(ctx, job("cat", "a")))
	if again := leased(t, c, "a", time.Hour, 10); len(again) != 1 {
		t.Errorf("a job that comes again: %+v", again)
	}
}

// testJobLeases: one owner at a time; who has lost the lease changes nothing.
func testJobLeases(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	late := job("late", "")
	late.Due = epoch.Add(time.Hour)
	must(t, c.Enqueue(ctx, job("cat", ""), late))
	first := leased(t, c, "a", 0, 10)
	if len(first) != 1 || first[0].Subject != "cat" {
		t.Fatalf("leased %+v, want what is due", first)
	}
	if other := leased(t, c, "b", Lease-time.Second, 10); len(other) != 0 {
		t.Errorf("leased twice: %+v", other)
	}
	must(t, c.RenewJob(ctx, first[0], epoch.Add(2*Lease)))
	if other := leased(t, c, "b", Lease+time.Second, 10); len(other) != 0 {
		t.Errorf("leased although it was renewed: %+v", other)
	}
	second := leased(t, c, "a", 2*Lease, 10) // by the same owner, who may have forgotten
	if len(second) != 1 || second[0].Attempts != 2 {
		t.Fatalf("after the lease: %+v", second)
	}
	wants(t, "renew a lost one", c.RenewJob(ctx, first[0], epoch.Add(9*Lease)), catalog.ErrLease)
	wants(t, "finish a lost one", c.FinishJob(ctx, first[0]), catalog.ErrLease)
	wants(t, "fail a lost one", c.FailJob(ctx, first[0], "no", epoch, false), catalog.ErrLease)
	wants(t, "bury a lost one", c.FailJob(ctx, first[0], "no", epoch, true), catalog.ErrLease)
	must(t, c.FailJob(ctx, second[0], "a reason", epoch.Add(3*Lease), false))
	if early := leased(t, c, "b", 3*Lease-time.Second, 10); len(early) != 0 {
		t.Errorf("leased before it is due again: %+v", early)
	}
	third := leased(t, c, "b", 3*Lease, 10)
	if len(third) != 1 || third[0].Attempts != 3 || third[0].Failures != 1 {
		t.Errorf("after a failure: %+v", third)
	}
}

func testDeadJobs(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	for i := range 5 {
		must(t, c.Enqueue(ctx, job(fmt.Sprint("cat", i), "x")))
	}
	for _, j := range leased(t, c, "a", 0, 10) {
		must(t, c.FailJob(ctx, j, "it is broken", epoch, true))
	}
	if again := leased(t, c, "a", time.Hour, 10); len(again) != 0 {
		t.Errorf("dead jobs are leased: %+v", again)
	}
	var dead []catalog.JobState
	for after := int64(0); ; {
		page, err := c.DeadJobs(ctx, "work", after, 2)
		must(t, err)
		if len(page) == 0 {
			break
		}
		dead = append(dead, page...)
		after = page[len(page)-1].ID
	}
	if len(dead) != 5 || dead[0].Reason != "it is broken" || dead[0].State != catalog.JobDead || string(dead[0].Payload) != "x" {
		t.Fatalf("dead: %+v", dead)
	}
	must(t, c.RetryJob(ctx, dead[0].ID))
	wants(t, "retry it again", c.RetryJob(ctx, dead[0].ID), catalog.ErrNotFound)
	must(t, c.Enqueue(ctx, job(dead[1].Subject, "x"))) // asked for anew
	if again := leased(t, c, "a", 1<<30*time.Second, 10); len(again) != 2 || again[0].Attempts != 1 || again[0].Failures != 0 {
		t.Errorf("tried again: %+v", again)
	}
}

// batchPlay ends jobs of a batch of three, and counts how often the end of the batch is told.
type batchPlay struct {
	t    *testing.T
	c    *catalog.Catalog
	ends int
}

func (p *batchPlay) end(j catalog.Job, dead bool) {
	p.t.Helper()
	must(p.t, p.c.EndJob(p.t.Context(), j, catalog.JobEnd{
		Result: []byte("result " + string(j.Payload)), Dead: dead, Reason: "why",
		Announce: func(batch []catalog.JobState) []catalog.Event {
			events := []catalog.Event{told("job-" + fmt.Sprint(j.ID))}
			if len(batch) == 0 {
				return events
			}
			if p.ends++; len(batch) != 3 {
				p.t.Errorf("the batch is %+v", batch)
			}
			return append(events, told("batch"))
		},
	}))
}

// testBatches: the end of a batch is told once, with the last of its jobs, whatever became of them.
func testBatches(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	subscribe(c, "all")
	var list []catalog.Job
	for i := range 3 {
		j := job("cat", fmt.Sprint(i))
		j.Batch = "batch"
		list = append(list, j)
	}
	must(t, c.Enqueue(ctx, append(list, job("cat", "0"))...)) // the last one is of no batch: another job
	must(t, c.Enqueue(ctx, list...))                          // counted once
	p := batchPlay{t: t, c: c}
	work := leased(t, c, "a", 0, 10)
	if len(work) != 4 {
		t.Fatalf("leased %d, want 4", len(work))
	}
	for i, j := range work {
		if j.Batch == "" {
			must(t, c.FinishJob(ctx, j))
			continue
		}
		if p.ends > 0 {
			t.Errorf("the end was told before job %d", i)
		}
		p.end(j, string(j.Payload) == "1")
	}
	states, err := c.BatchJobs(ctx, "batch")
	if err != nil || len(states) != 3 || p.ends != 1 {
		t.Fatalf("%d ends, %+v, %v", p.ends, states, err)
	}
	for _, s := range states {
		want := catalog.JobDone
		if string(s.Payload) == "1" {
			want = catalog.JobDead
			must(t, c.RetryJob(ctx, s.ID))
		}
		if s.State != want || string(s.Result) != "result "+string(s.Payload) {
			t.Errorf("%+v", s)
		}
	}
	for _, j := range leased(t, c, "a", 1<<30*time.Second, 10) {
		p.end(j, false)
	}
	events, err := c.Outbox().Events(ctx, 1<<40, false, 100)
	if err != nil || len(events) != 4 || p.ends != 1 { // that of the one tried again has the same id
		t.Errorf("%d events, %v, the end of the batch was told %d times", len(events), err, p.ends)
	}
	for _, name := range []string{"none", ""} {
		_, err = c.BatchJobs(ctx, name)
		wants(t, "no batch", err, catalog.ErrNotFound)
	}
}

// testJobsOf: what waits comes first, and what lacks is found out and put in at one time.
func testJobsOf(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	named := func(subject, version, payload, batch string) catalog.Job {
		j := job(subject, payload)
		j.Version, j.Batch = version, batch
		return j
	}
	must(t, c.Enqueue(ctx, named("cat", "v1", "a", "one"), named("cat", "v1", "b", "one"), named("cat", "v2", "a", "two"), named("dog", "v1", "a", "two")))
	for _, j := range leased(t, c, "me", 0, 10) {
		if string(j.Payload) == "a" && j.Version == "v1" {
			must(t, c.EndJob(ctx, j, catalog.JobEnd{Result: []byte("made")}))
		}
	}
	want := []string{"b one due", "a one done made"}
	of := func(list []catalog.JobState) (said []string) {
		for _, s := range list {
			said = append(said, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", s.Payload, s.Batch, s.State, s.Result)))
		}
		return said
	}
	list, err := c.JobsOf(ctx, "work", "cat", "v1", 10)
	if must(t, err); !slices.Equal(of(list), want) {
		t.Errorf("jobs of cat: %q, want %q", of(list), want)
	}
	if list, err = c.JobsOf(ctx, "work", "cat", "v1", 1); err != nil || !slices.Equal(of(list), want[:1]) {
		t.Errorf("one of them: %q, %v", of(list), err)
	}
	if list, err = c.JobsOf(ctx, "other", "cat", "v1", 10); err != nil || len(list) > 0 {
		t.Errorf("of another kind: %q, %v", of(list), err)
	}
	woken := 0
	c.OnEnqueue(func(string) { woken++ })
	lack := func(list ...catalog.Job) func([]catalog.JobState) []catalog.Job {
		return func(there []catalog.JobState) []catalog.Job {
			if !slices.Equal(of(there)[:2], want) {
				t.Errorf("told of %q, want %q", of(there), want)
			}
			return list
		}
	}
	must(t, c.EnqueueLacking(ctx, "work", "cat", "v1", 10, lack()))
	if woken != 0 {
		t.Error("told of no jobs")
	}
	must(t, c.EnqueueLacking(ctx, "work", "cat", "v1", 10, lack(named("cat", "v1", "c", "three"))))
	if list, err = c.JobsOf(ctx, "work", "cat", "v1", 10); err != nil || len(list) != 3 || woken != 1 {
		t.Errorf("%q, %v, told %d times", of(list), err, woken)
	}
}

// testJobsOfChange: jobs come with the change that asks for them, or not at all.
func testJobsOfChange(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	r := record("cat", "v1", epoch)
	_, err := c.Settle(ctx, epoch, catalog.Step{Put: &r, Enqueue: []catalog.Job{job("cat", "")}})
	must(t, err)
	_, err = c.Settle(ctx, epoch, catalog.Step{Put: &r, Enqueue: []catalog.Job{job("cat", "of a change that is not made")}})
	wants(t, "a change that is not made", err, catalog.ErrExists)
	if list := leased(t, c, "a", 0, 10); len(list) != 1 || len(list[0].Payload) != 0 {
		t.Errorf("leased %+v", list)
	}
}

// testManyWorkers: a hundred jobs, eight workers, each job ended once.
func testManyWorkers(t *testing.T, c *catalog.Catalog) {
	const jobs, workers = 100, 8
	var list []catalog.Job
	for i := range jobs {
		j := job("cat", fmt.Sprint(i))
		j.Batch = "batch"
		list = append(list, j)
	}
	must(t, c.Enqueue(t.Context(), list...))
	var (
		mu    sync.Mutex
		ended = map[string]int{}
		whole int
		group sync.WaitGroup
	)
	for w := range workers {
		group.Go(func() {
			for {
				var work []catalog.Job
				patiently(t, func() (err error) {
					work, err = c.LeaseJobs(context.Background(), "work", fmt.Sprint(w), 3, epoch.Add(Lease), epoch)
					return err
				})
				if len(work) == 0 {
					return
				}
				for _, j := range work {
					var last bool
					patiently(t, func() error {
						err := c.EndJob(context.Background(), j, catalog.JobEnd{Announce: func(batch []catalog.JobState) []catalog.Event {
							last = len(batch) > 0
							return nil
						}})
						if errors.Is(err, catalog.ErrLease) {
							t.Errorf("%s was ended by two", j.Payload)
							return nil
						}
						return err
					})
					mu.Lock()
					ended[string(j.Payload)]++
					if last {
						whole++
					}
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	if len(ended) != jobs || whole != 1 {
		t.Errorf("%d of %d jobs ended, the batch %d times", len(ended), jobs, whole)
	}
}

func testSweepJobs(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	var list []catalog.Job
	for _, batch := range []string{"ended", "pending", ""} {
		j := job("cat", "x")
		j.Batch = batch
		list = append(list, j)
	}
	must(t, c.Enqueue(ctx, list...))
	for _, j := range leased(t, c, "a", 0, 10) {
		if j.Batch != "pending" {
			must(t, c.FailJob(ctx, j, "", epoch, true))
		}
	}
	if n, err := c.SweepJobs(ctx, time.Now().Add(-time.Hour), 10); n != 0 || err != nil {
		t.Errorf("swept %d too early, %v", n, err)
	}
	if n, err := c.SweepJobs(ctx, time.Now().Add(time.Hour), 10); n != 2 || err != nil {
		t.Errorf("swept %d, %v; want a batch and a dead job", n, err)
	}
	_, err := c.BatchJobs(ctx, "ended")
	wants(t, "a swept batch", err, catalog.ErrNotFound)
	if states, err := c.BatchJobs(ctx, "pending"); len(states) != 1 || err != nil {
		t.Errorf("a pending batch: %+v, %v", states, err)
	}
}
