package transform

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestQueueWait: a burst is waited out however long it takes; once the queue has stood for a while, a render that comes is
// refused when it has waited for its time.
func TestQueueWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &slowEngine{release: make(chan struct{})}
		g := NewGate(e, DefaultLimits(), 1, 10)
		g.QueueWait = time.Second
		source := tinyPNG(t)
		ends := make(chan error, 10) // as many as there are renders
		render := func() {
			_, err := g.Render(t.Context(), source, Spec{})
			ends <- err
		}
		go render()
		synctest.Wait()
		go render()
		go render()
		time.Sleep(standsAfter)
		if g.Waiting() != 2 {
			t.Fatalf("%d of the burst wait, want both", g.Waiting())
		}
		begin := time.Now()
		if _, err := g.Render(t.Context(), source, Spec{}); !errors.Is(err, ErrBusy) || time.Since(begin) != time.Second {
			t.Errorf("%v after %s, want ErrBusy after a second", err, time.Since(begin))
		}
		close(e.release)
		for range 3 {
			if err := <-ends; err != nil {
				t.Error(err)
			}
		}
		if _, err := g.Render(t.Context(), source, Spec{}); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// TestRetryIn: the wait that is promised grows with the queue and the time that renders take.
func TestRetryIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &slowEngine{release: make(chan struct{})}
		g := NewGate(e, DefaultLimits(), 2, 10)
		if g.RetryIn() != 0 {
			t.Errorf("%s before the first render", g.RetryIn())
		}
		done := make(chan struct{})
		for range 6 {
			go func() {
				_, _ = g.Render(t.Context(), tinyPNG(t), Spec{}) // it is released
				done <- struct{}{}
			}()
		}
		g.recent.add(4 * time.Second)
		synctest.Wait()
		if got := g.RetryIn(); got != 12*time.Second {
			t.Errorf("%s for six before on two slots at 4 s each, want 12 s", got)
		}
		g.recent.add(12 * time.Second)
		if got := g.RetryIn(); got != 15*time.Second {
			t.Errorf("%s when the last one took 12 s, want 15 s", got)
		}
		close(e.release)
		for range 6 {
			<-done
		}
	})
}
