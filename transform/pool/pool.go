// Package pool renders in child processes, so that a source that crashes a decoder, or keeps it busy for ever, costs its own
// request and nothing else. It holds no cgo: a child is the same binary, started again, which runs the engine that it likes.
//
// Each child renders one picture at a time. It gets the source as sealed shared memory and sends the picture back over a
// socket. It is killed at the deadline of a render, or when nobody waits for it any more, and replaced at once.
package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"deckle/transform"
)

// Config says how many children there are, what runs in them, and what ends them. Zero values of everything but Command and
// Limits stand for the defaults.
type Config struct {
	// Command returns what starts a child: a process that calls Serve. The pool adds descriptors, attributes and environment.
	Command func() *exec.Cmd
	// Settings are given to each child's open function as they are.
	Settings json.RawMessage
	Limits   transform.Limits // what a picture of a child is held against

	Slots  int // renders at once; 1
	Spares int // warm children beyond them, so that a killed one is not missed; 1, and none below 0

	StillTimeout     time.Duration // of one render; 5 s
	AnimationTimeout time.Duration // of a source with frames; 10 s
	StartTimeout     time.Duration // until a child says that it is ready; 10 s
	Quarantine       time.Duration // of a source that killed two children; 10 min

	Memory     int64 // bytes that a child may allocate beyond what it has when it is ready; 1 GiB, and no bound below 0
	MaxRenders int   // renders until a child is replaced; 2,000
	MaxRSS     int64 // bytes a child may hold between renders until it is replaced; 256 MiB

	Pyramids    int64         // bytes of decoded levels that are kept for other sizes of the same sources; 128 MiB, and none below 0
	PyramidIdle time.Duration // how long they are kept when nobody uses them; 10 s

	Log *slog.Logger
}

// complete fills in the defaults.
func (c Config) complete() Config {
	c.Slots = max(1, c.Slots)
	if c.Spares == 0 {
		c.Spares = 1
	}
	c.Spares = max(0, c.Spares)
	c.StillTimeout = either(c.StillTimeout, 5*time.Second)
	c.AnimationTimeout = either(c.AnimationTimeout, 10*time.Second)
	c.StartTimeout = either(c.StartTimeout, 10*time.Second)
	c.Quarantine = either(c.Quarantine, 10*time.Minute)
	c.Memory = either(c.Memory, 1<<30)
	c.MaxRenders = either(c.MaxRenders, 2000)
	c.MaxRSS = either(c.MaxRSS, 256<<20)
	c.Pyramids = either(c.Pyramids, 128<<20)
	c.PyramidIdle = either(c.PyramidIdle, 10*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func either[T int | int64 | time.Duration](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}

// ErrClosed says that the pool has been closed. It wraps transform.ErrBusy: another node, or the next process, renders.
var ErrClosed = fmt.Errorf("pool is closed: %w", transform.ErrBusy)

// Pool is an Engine whose renders run in child processes. Errors of a render wrap the sentinels of transform;
// context.DeadlineExceeded when it took too long; transform.ErrCrashed when its child died of it.
type Pool struct {
	config     Config
	quarantine *quarantine
	pyramids   *pyramids
	complaints *complaints
	starter    starter
	counts     counts
	recent     recent
	bare       atomic.Bool // namespaces are not permitted here

	offers    chan *child   // unbuffered: who takes one takes a child that lives
	recycling chan struct{} // at most one child is replaced on purpose at a time; the others render
	stop      chan struct{} // closed by Close
	once      sync.Once     // for Close
	seats     sync.WaitGroup

	mu       sync.Mutex
	children map[*child]struct{} // alive

	known chan struct{} // closed when hello or fault is final
	hello hello
	fault error // of the first start
}

var _ transform.Engine = (*Pool)(nil)

// New begins to start children and returns at once; Ready waits for them. Close ends them.
func New(c Config) (*Pool, error) {
	if c.Command == nil || c.Limits.OutputSide < 1 {
		return nil, errors.New("pool: a command and limits are needed")
	}
	c = c.complete()
	p := &Pool{
		config: c, quarantine: newQuarantine(c.Quarantine), pyramids: newPyramids(c.Pyramids, c.PyramidIdle), complaints: newComplaints(c.Log), starter: newStarter(),
		offers: make(chan *child), recycling: make(chan struct{}, 1), stop: make(chan struct{}), known: make(chan struct{}),
		children: map[*child]struct{}{},
	}
	p.seats.Go(p.open)
	return p, nil
}

// open starts the first child, learns from it what children can do, and then lets all others start.
func (p *Pool) open() {
	first, err := p.start()
	if err != nil {
		p.fault = err
		close(p.known)
		return
	}
	p.hello = first.hello
	close(p.known)
	p.config.Log.Info("renderers contained", slog.Any("by", first.hello.Contained), slog.String("library", first.hello.Backend),
		slog.Int64("ms", first.took.Milliseconds()))
	for range p.config.Slots + p.config.Spares - 1 {
		p.seats.Go(func() { p.keep(nil) })
	}
	p.keep(first)
}

// Ready waits until the first child is ready. After an error, which says why it is not, the pool only has to be closed. Before
// Ready has returned nil nothing but Close may be called.
func (p *Pool) Ready(ctx context.Context) error {
	select {
	case <-p.known:
		return p.fault
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Writes tells whether the children can encode f.
func (p *Pool) Writes(f transform.Format) bool {
	for _, written := range p.hello.Writes {
		if written == f {
			return true
		}
	}
	return false
}

// Generation names everything but Spec and source that decides the bytes of a result; see Facts.
func (p *Pool) Generation() string { return p.hello.Generation }

// Backend names what the children render with, and its version.
func (p *Pool) Backend() string { return p.hello.Backend }

// Contained says what the children cannot do.
func (p *Pool) Contained() Containment { return p.hello.Contained }

// Close kills all children and waits until they are gone. Renders under way return ErrClosed.
func (p *Pool) Close() error {
	p.once.Do(func() {
		close(p.stop)
		p.seats.Wait()
		p.starter.close()
		p.pyramids.close()
	})
	return nil
}

func (p *Pool) closed() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}
