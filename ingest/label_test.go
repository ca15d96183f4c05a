package ingest

import (
	"context"
	"errors"
	"fmt"
	"image/color"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/catalog"
	"deckle/event"
	"deckle/internal/testclock"
	"deckle/internal/testimage"
	"deckle/label"
	"deckle/transform"
)

// oracle is a labeler whose answers a test decides.
type oracle struct {
	mu    sync.Mutex
	says  func(ctx context.Context, p label.Picture, asked int) ([]label.Label, error)
	asked int
}

func (o *oracle) Label(ctx context.Context, p label.Picture) ([]label.Label, error) {
	o.mu.Lock()
	o.asked++
	asked, says := o.asked, o.says
	o.mu.Unlock()
	return says(ctx, p, asked)
}

func (o *oracle) times() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}

func saying(names ...string) *oracle {
	return &oracle{says: func(context.Context, label.Picture, int) (labels []label.Label, err error) {
		for _, name := range names {
			labels = append(labels, label.Label{Name: name, Category: label.Object, Confidence: 90})
		}
		return labels, nil
	}}
}

// failing fails as often as said, and then says a name.
func failing(times int, err error, name string) *oracle {
	good := saying(name)
	return &oracle{says: func(ctx context.Context, p label.Picture, asked int) ([]label.Label, error) {
		if asked <= times {
			return nil, err
		}
		return good.says(ctx, p, asked)
	}}
}

// studio is a bench whose pictures are labelled.
type studio struct {
	*bench
	labeller *Labeller
	time     *testclock.Clock
	engine   transform.Engine
}

func newStudio(t *testing.T, labelers map[string]*oracle, change ...func(*LabelConfig)) *studio {
	t.Helper()
	b := newBench(t, func(c *Config) { c.Labelled = true })
	b.listen()
	s := &studio{bench: b, time: testclock.At(time.Now()), engine: &goEngine{}}
	config := LabelConfig{
		Store: b.store, Catalog: b.catalog, Engine: s.engine, Poll: 5 * time.Millisecond, Tries: 4, Now: s.time.Now,
		Lease: 10 * time.Hour, // the clock runs fast
	}
	for _, name := range []string{"a", "b", "c"} {
		if labelers[name] != nil {
			config.Labelers = append(config.Labelers, label.Named{Name: name, Labeler: labelers[name]})
		}
	}
	for _, f := range change {
		f(&config)
	}
	s.labeller = NewLabeller(config)
	return s
}

// run has the labeller run until the test ends, or stop is called.
func (s *studio) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.labeller.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	s.t.Cleanup(stop)
	return stop
}

// picture is one whose bytes nobody else sends.
func pictureNo(n int) []byte {
	return testimage.PNG(testimage.Flat(40, 30, color.NRGBA{uint8(n), uint8(n >> 8), 200, 255}))
}

func (s *studio) add(id string, n int) Receipt {
	s.t.Helper()
	return s.mustSend(id, s.token(id, true), pictureNo(n))
}

// patiently asks again while the catalog has no time: reads of a busy machine may take longer than it waits.
func patiently[T any](t testing.TB, ask func() (T, error)) T {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); ; {
		got, err := ask()
		switch {
		case err == nil:
			return got
		case !errors.Is(err, ErrUnavailable) || time.Now().After(late):
			t.Fatal(err)
		}
	}
}

// labels spells a record's labels: name@labeler.
func (s *studio) labels(id string) string {
	s.t.Helper()
	r := patiently(s.t, func() (catalog.Record, error) { return s.catalog.Record(s.t.Context(), id) })
	var list []string
	for _, l := range r.Labels {
		list = append(list, l.Name+"@"+l.Source)
	}
	return strings.Join(list, " ")
}

// settled waits until nothing waits to be labelled. Pauses pass at once.
func (s *studio) settled() {
	s.t.Helper()
	for late := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		n := patiently(s.t, func() (int, error) { return s.labeller.Waiting(s.t.Context()) })
		if n == 0 {
			return
		}
		if time.Now().After(late) {
			s.t.Fatalf("%d pictures wait to be labelled; %+v", n, s.labeller.Stats())
		}
		s.time.Move(time.Second)
	}
}

// told returns the labelled events of an id.
func (s *studio) told(id string) (data []string) {
	s.t.Helper()
	list := patiently(s.t, func() ([]catalog.EventState, error) {
		return s.catalog.Outbox().Events(s.t.Context(), 1<<40, false, 1000)
	})
	for _, e := range list {
		if e.Source == id && e.Kind == string(event.Labelled) {
			data = append(data, string(e.Data))
		}
	}
	return data
}

func (s *studio) dead() []DeadLabel {
	s.t.Helper()
	return patiently(s.t, func() ([]DeadLabel, error) { return s.labeller.DeadLabels(s.t.Context(), 0, 100) })
}

func TestLabels(t *testing.T) {
	a, b := saying("Dog", "Cat"), &oracle{}
	b.says = func(ctx context.Context, p label.Picture, _ int) ([]label.Label, error) {
		large, err := p.Large(ctx)
		if err != nil || len(large) < 4 || string(large[:2]) != "\xff\xd8" {
			t.Errorf("the large rendering is %q, %v", large, err)
		}
		if p.Source != "shop/dog" || p.Version == "" || p.Width != 40 || p.Height != 30 || p.Frames != 1 || p.Small.Rect.Dx() == 0 {
			t.Errorf("asked about %+v", p)
		}
		return []label.Label{{Name: "red", Category: label.Colour, Confidence: 12.5}}, nil
	}
	s := newStudio(t, map[string]*oracle{"a": a, "b": b})
	receipt := s.add("shop/dog", 1)
	if n, err := s.labeller.Waiting(t.Context()); n != 1 || err != nil {
		t.Errorf("%d pictures wait, %v; the job should be there with the record", n, err)
	}
	s.run()
	s.settled()
	if got, want := s.labels("shop/dog"), "cat@a dog@a red@b"; got != want {
		t.Errorf("labels %q, want %q", got, want)
	}
	want := []string{`{"namespace":"","hash":"","source":"shop/dog","version":"` + receipt.Version + `","labels":[` +
		`{"name":"cat","category":"object","confidence":90,"source":"a"},{"name":"dog","category":"object","confidence":90,"source":"a"},` +
		`{"name":"red","category":"colour","confidence":12.5,"source":"b"}],"failed":[]}`}
	if diff := cmp.Diff(want, s.told("shop/dog")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if a.times() != 1 || b.times() != 1 || s.labeller.Stats() != (LabelStats{Labelled: 1}) {
		t.Errorf("asked %d and %d times; %+v", a.times(), b.times(), s.labeller.Stats())
	}
}

// TestLabelsOfEveryPath: whatever makes bytes public has them labelled, and what waits to be published is not.
func TestLabelsOfEveryPath(t *testing.T) {
	s := newStudio(t, map[string]*oracle{"a": saying("dog")})
	waiting := func(want int, what string) {
		t.Helper()
		if n, err := s.labeller.Waiting(t.Context()); n != want || err != nil {
			t.Errorf("after %s %d pictures wait, want %d: %v", what, n, want, err)
		}
	}
	s.pend("later", Policy{}, pictureNo(1))
	waiting(0, "an upload that is not published")
	if _, err := s.Publish(t.Context(), "later", PublishCheck{}); err != nil {
		t.Fatal(err)
	}
	waiting(1, "publishing it")
	if _, err := s.Rotate(t.Context(), "later", TurnRight, Target{}); err != nil {
		t.Fatal(err)
	}
	waiting(2, "rotating it")
	s.add("later", 2)
	waiting(3, "replacing it")
	s.run()
	s.settled()
	if got := s.labels("later"); got != "dog@a" || len(s.told("later")) != 1 {
		t.Errorf("labels %q, told %v: former versions should be passed over", got, s.told("later"))
	}
}

func TestOneLabelerFails(t *testing.T) {
	a, b := saying("dog"), failing(3, errors.New("away"), "cat")
	s := newStudio(t, map[string]*oracle{"a": a, "b": b})
	s.add("dog", 1)
	s.run()
	s.settled()
	if got, want := s.labels("dog"), "cat@b dog@a"; got != want {
		t.Errorf("labels %q, want %q", got, want)
	}
	if a.times() != 1 || b.times() != 4 || len(s.told("dog")) != 1 || len(s.dead()) != 0 {
		t.Errorf("asked %d and %d times, told %v, dead %v", a.times(), b.times(), s.told("dog"), s.dead())
	}
}

func TestLabelsGivenUp(t *testing.T) {
	for name, test := range map[string]struct {
		err   error
		fails int // tries until it is given up
	}{
		"the picture is refused": {fmt.Errorf("%w: no", label.ErrRefused), 1},
		"nobody answers":         {errors.New("away"), 5}, // the first, and Tries of b alone
	} {
		t.Run(name, func(t *testing.T) {
			b := failing(test.fails, test.err, "cat")
			s := newStudio(t, map[string]*oracle{"a": saying("dog"), "b": b})
			s.add("x/dog", 1)
			s.run()
			s.settled()
			dead := s.dead()
			if len(dead) != 1 || dead[0].ID != "x/dog" || dead[0].Version == "" || !strings.Contains(dead[0].Reason, "b: ") {
				t.Fatalf("given up: %+v", dead)
			}
			if told := s.told("x/dog"); len(told) != 1 || !strings.Contains(told[0], `"name":"dog"`) || !strings.Contains(told[0], `"failed":["b"]`) {
				t.Errorf("told %q", told)
			}
			if got := s.labels("x/dog"); got != "dog@a" || b.times() != test.fails {
				t.Errorf("labels %q after %d tries", got, b.times())
			}
			if err := s.labeller.RetryLabels(t.Context(), dead[0].Job+1); !errors.Is(err, ErrNotFound) {
				t.Errorf("trying what is not there again: %v", err)
			}
			if err := s.labeller.RetryLabels(t.Context(), dead[0].Job); err != nil {
				t.Fatal(err)
			}
			s.settled()
			if got := s.labels("x/dog"); got != "cat@b dog@a" || len(s.dead()) != 0 || len(s.told("x/dog")) != 2 {
				t.Errorf("tried again: labels %q, dead %v, told %q", got, s.dead(), s.told("x/dog"))
			}
		})
	}
}

// TestLabelsOfFormerVersion: a picture is replaced while its labeler looks at it.
func TestLabelsOfFormerVersion(t *testing.T) {
	looking, goOn := make(chan struct{}), make(chan struct{})
	a := &oracle{says: func(_ context.Context, p label.Picture, asked int) ([]label.Label, error) {
		if asked == 1 {
			close(looking)
			<-goOn
			return []label.Label{{Name: "old", Category: label.Object, Confidence: 99}}, nil
		}
		return []label.Label{{Name: "new", Category: label.Object, Confidence: 99}}, nil
	}}
	s := newStudio(t, map[string]*oracle{"a": a})
	s.add("dog", 1)
	s.run()
	<-looking
	second := s.add("dog", 2)
	close(goOn)
	s.settled()
	if got := s.labels("dog"); got != "new@a" {
		t.Errorf("labels %q, want those of the new bytes", got)
	}
	if told := s.told("dog"); len(told) != 1 || !strings.Contains(told[0], second.Version) {
		t.Errorf("told %q, want one event of %s", told, second.Version)
	}
}

func TestLabelsOfDeleted(t *testing.T) {
	looking, goOn := make(chan struct{}), make(chan struct{})
	a := &oracle{says: func(context.Context, label.Picture, int) ([]label.Label, error) {
		close(looking)
		<-goOn
		return nil, nil
	}}
	s := newStudio(t, map[string]*oracle{"a": a})
	s.add("dog", 1)
	s.run()
	<-looking
	if _, err := s.Delete(t.Context(), []string{"dog"}); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	s.settled()
	if len(s.dead()) != 0 || len(s.told("dog")) != 0 {
		t.Errorf("dead %v, told %v", s.dead(), s.told("dog"))
	}
}

// TestLabelsAfterDeath: a process that held the job has died; its lease runs out.
func TestLabelsAfterDeath(t *testing.T) {
	s := newStudio(t, map[string]*oracle{"a": saying("dog")})
	s.add("dog", 1)
	now := s.time.Now()
	held, err := s.catalog.LeaseJobs(t.Context(), labelKind, "somebody who dies", 10, now.Add(30*time.Second), now)
	if err != nil || len(held) != 1 {
		t.Fatal(held, err)
	}
	s.run()
	s.settled()
	if got := s.labels("dog"); got != "dog@a" || s.time.Now().Before(now.Add(30*time.Second)) {
		t.Errorf("labels %q at %s, held until %s", got, s.time.Now(), now.Add(30*time.Second))
	}
	if err := s.catalog.FinishJob(t.Context(), held[0]); !errors.Is(err, catalog.ErrLease) {
		t.Errorf("the dead one could finish: %v", err)
	}
}

// TestLabelsRepeated: whoever dies after the end was reached and before it was known has it told again, and the event is kept once.
func TestLabelsRepeated(t *testing.T) {
	s := newStudio(t, map[string]*oracle{"a": saying("dog")})
	s.add("dog", 1)
	stop := s.run()
	s.settled()
	stop()
	r, err := s.catalog.Record(t.Context(), "dog")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.catalog.Enqueue(t.Context(), labelTask{}.job(r)); err != nil {
		t.Fatal(err)
	}
	s.run()
	s.settled()
	if told := s.told("dog"); len(told) != 1 {
		t.Errorf("told %d times: %q", len(told), told)
	}
}

// TestStopLabelling: what is under way when a process ends is another's at once.
func TestStopLabelling(t *testing.T) {
	looking := make(chan struct{})
	a := &oracle{says: func(ctx context.Context, _ label.Picture, asked int) ([]label.Label, error) {
		if asked > 1 {
			return nil, nil
		}
		close(looking)
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	s := newStudio(t, map[string]*oracle{"a": a})
	s.add("dog", 1)
	stop := s.run()
	<-looking
	stop()
	now := s.time.Now()
	jobs, err := s.catalog.LeaseJobs(t.Context(), labelKind, "another", 10, now.Add(time.Minute), now)
	if err != nil || len(jobs) != 1 || jobs[0].Failures != 0 {
		t.Errorf("given back: %+v, %v", jobs, err)
	}
}

func TestRelabel(t *testing.T) {
	a := saying("dog")
	s := newStudio(t, map[string]*oracle{"a": a})
	s.add("x/dog", 1)
	s.run()
	s.settled()
	a.mu.Lock()
	a.says = saying("wolf").says
	a.mu.Unlock()
	if err := s.labeller.Relabel(t.Context(), "x/dog"); err != nil {
		t.Fatal(err)
	}
	s.settled()
	if got := s.labels("x/dog"); got != "wolf@a" || len(s.told("x/dog")) != 2 {
		t.Errorf("labels %q, told %q", got, s.told("x/dog"))
	}
	if err := s.labeller.Relabel(t.Context(), "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("relabelling what is not there: %v", err)
	}
}
