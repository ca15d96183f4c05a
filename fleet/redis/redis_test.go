package redis

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"deckle/fleet"
	"deckle/fleet/fleettest"
	"deckle/internal/testserver"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// patient is a deadline that a loaded machine does not miss.
const patient = 10 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect returns a client of a test's own, with the deadlines that the product's has.
func connect(t *testing.T, server *testserver.RedisServer) *goredis.Client {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{
		Addr: server.Addr, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, DialTimeout: 200 * time.Millisecond,
	})
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

func openLeases(t *testing.T, server *testserver.RedisServer, config LeaseConfig) *Leases {
	t.Helper()
	l := NewLeases(connect(t, server), config)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestLeaseLaws(t *testing.T) {
	server := testserver.Redis(t)
	admin := connect(t, server)
	fleettest.Leases(t, func(t *testing.T) (nodes [3]fleet.Leases) {
		if err := admin.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		for i := range nodes {
			nodes[i] = openLeases(t, server, LeaseConfig{Wait: time.Minute, Call: patient})
		}
		return nodes
	})
}

func TestMessageLaws(t *testing.T) {
	server := testserver.Redis(t)
	admin := connect(t, server)
	fleettest.Messages(t, func(t *testing.T) func() fleet.Messages {
		if err := admin.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return func() fleet.Messages { return NewMessages(connect(t, server)) }
	})
}

// TestDeadHolder: a lease whose holder is gone is taken over when it runs out, by one of those that wait.
func TestDeadHolder(t *testing.T) {
	server := testserver.Redis(t)
	nodes := []*Leases{openLeases(t, server, LeaseConfig{Call: patient}), openLeases(t, server, LeaseConfig{Call: patient})}
	const left = 400 * time.Millisecond
	if err := connect(t, server).Set(t.Context(), leaseKeys("x")[0], "a node that was killed", left).Err(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	var mu sync.Mutex
	var works int
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			lease, result, err := nodes[i%2].Take(t.Context(), "x")
			switch {
			case err != nil:
				t.Error(err)
			case lease != nil:
				if took := time.Since(begin); took < left/2 || took > 5*time.Second {
					t.Errorf("taken over after %s, the lease had %s", took, left)
				}
				lease.Done([]byte("picture"), time.Minute)
				mu.Lock()
				defer mu.Unlock()
				works++
			case string(result) != "picture":
				t.Errorf("result %q", result)
			}
		})
	}
	all.Wait()
	if works != 1 {
		t.Errorf("%d took over, want 1", works)
	}
}

// TestRenewal: a holder that lives keeps its lease for longer than a lease is.
func TestRenewal(t *testing.T) {
	server := testserver.Redis(t)
	config := LeaseConfig{Time: 400 * time.Millisecond, Call: patient}
	holder, other := openLeases(t, server, config), openLeases(t, server, config)
	lease := fleettest.MustTake(t, holder, "x")
	ctx, cancel := context.WithTimeout(t.Context(), 3*config.Time)
	defer cancel()
	if lease, result, err := other.Take(ctx, "x"); err == nil {
		t.Errorf("Take of a lease that is held = %v, %q", lease, result)
	}
	lease.Done([]byte("picture"), time.Minute)
	if lease, result, err := other.Take(t.Context(), "x"); lease != nil || string(result) != "picture" {
		t.Errorf("Take = %v, %q, %v", lease, result, err)
	}
}

// TestSlowHolder: nobody waits longer than the bound, and the first result is everybody's.
func TestSlowHolder(t *testing.T) {
	server := testserver.Redis(t)
	config := LeaseConfig{Wait: 100 * time.Millisecond, Call: patient}
	holder, other := openLeases(t, server, config), openLeases(t, server, config)
	slow := fleettest.MustTake(t, holder, "x")
	alone := fleettest.MustTake(t, other, "x")
	if got := other.Stats(); got.Alone != 1 || got.Held != 0 {
		t.Errorf("stats %+v, want one that went on alone", got)
	}
	alone.Done([]byte("picture"), time.Minute)
	if err := other.settle(t); err != nil {
		t.Fatal(err)
	}
	if lease, result, err := holder.Take(t.Context(), "x"); lease != nil || string(result) != "picture" {
		t.Errorf("Take = %v, %q, %v", lease, result, err)
	}
	slow.Drop()
}

// settle waits until the leases that were ended are through.
func (l *Leases) settle(t *testing.T) error {
	t.Helper()
	through := make(chan struct{})
	go func() { l.kept.Wait(); close(through) }()
	select {
	case <-through:
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("leases did not end")
	}
}

// TestOutage: a server that is gone or frozen costs a caller two deadlines at most, then nothing; and all is well again by
// itself when it is back.
func TestOutage(t *testing.T) {
	faults := map[string]struct {
		begin, over func(s *testserver.RedisServer)
	}{
		"down":   {func(s *testserver.RedisServer) { s.Stop() }, func(s *testserver.RedisServer) { s.Start() }},
		"frozen": {func(s *testserver.RedisServer) { s.Pause() }, func(s *testserver.RedisServer) { s.Resume() }},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			server := testserver.Redis(t)
			nodes := []*Leases{openLeases(t, server, LeaseConfig{}), openLeases(t, server, LeaseConfig{})}
			waiting := fleettest.MustTake(t, nodes[0], "held")
			alone := make(chan fleet.Lease, 1)
			go func() {
				lease, _, err := nodes[1].Take(context.Background(), "held")
				if err != nil {
					t.Error(err)
				}
				alone <- lease
			}()
			fault.begin(server)
			select {
			case lease := <-alone: // it waited when the server went
				if lease == nil {
					t.Error("no lease while nobody can be asked")
				} else {
					lease.Drop()
				}
			case <-time.After(4 * time.Second):
				t.Fatal("one that waits goes on waiting while nobody can be asked")
			}
			const scheduling = 200 * time.Millisecond // what a loaded machine may add to a deadline
			for i := range 20 {
				begin := time.Now()
				fleettest.MustTake(t, nodes[1], fmt.Sprint(i)).Drop()
				if took := time.Since(begin); took > tries*callTimeout+scheduling {
					t.Errorf("call %d took %s", i, took)
				}
			}
			begin := time.Now()
			for i := range 100 {
				fleettest.MustTake(t, nodes[1], fmt.Sprint(i)).Drop()
			}
			if took := time.Since(begin); took > 4*callTimeout+scheduling {
				t.Errorf("a hundred calls with the circuit open took %s", took)
			}
			waiting.Drop()
			fault.over(server)
			awaitHeld(t, nodes[1])
		})
	}
}

// awaitHeld takes leases, as renders would, until one is held for the fleet.
func awaitHeld(t *testing.T, l *Leases) {
	t.Helper()
	before := l.Stats().Held
	begin := time.Now()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for i := 0; l.Stats().Held == before; i++ {
		if time.Since(begin) > 10*time.Second {
			t.Fatal("the server was never used again")
		}
		fleettest.MustTake(t, l, fmt.Sprint("again", i)).Drop()
		<-poll.C
	}
}
