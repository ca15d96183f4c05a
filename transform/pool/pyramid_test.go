package pool

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"deckle/transform"
)

// keeper is a scripted engine that keeps levels: it writes what it would have decoded, and says in its pictures how it came by
// them. What else it does with a render is told by the quality.
type keeper struct{ scripted }

var _ transform.Keeper = (*keeper)(nil)

const keptMark = "levels from "

func (k *keeper) Render(_ context.Context, source []byte, spec transform.Spec) (*transform.Picture, error) {
	if spec.Quality == sleeps {
		time.Sleep(time.Hour)
	}
	return said("plain", source), nil
}

func (k *keeper) Keep(_ context.Context, source []byte, spec transform.Spec, first int, memory []byte) (*transform.Picture, int, error) {
	switch spec.Quality {
	case sleeps:
		time.Sleep(time.Hour)
	case segfaults:
		os.Exit(1)
	case refuses:
		return said("plain", source), 0, nil
	case lies:
		return said("raised", source), len(memory) + 1, nil
	case spins:
		time.Sleep(200 * time.Millisecond)
	}
	return said("raised", source), copy(memory, fmt.Sprintf("%s%d", keptMark, first)), nil
}

func (k *keeper) RenderKept(_ context.Context, h transform.Header, levels []byte, spec transform.Spec) (*transform.Picture, error) {
	if h.Width != wide || !strings.HasPrefix(string(levels), keptMark) {
		return nil, fmt.Errorf("%d wide, %q: %w", h.Width, levels, transform.ErrMalformed)
	}
	return said("kept", tiny()), nil
}

// said is a picture with a word behind it.
func said(word string, picture []byte) *transform.Picture {
	return &transform.Picture{Body: append(bytes.Clone(picture), word...), Format: transform.PNG, Width: 3, Height: 2, Frames: 1}
}

// wide is the side of a source that is worth keeping, pixels.
const wide = 1200

var wideSource = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, wide, wide))); err != nil {
		panic(err)
	}
	return b.Bytes()
})

func keeperPool(t *testing.T, change func(*Config)) *Pool {
	return scriptedPool(t, func(c *Config) {
		*c = config(roleKeeper)
		if change != nil {
			change(c)
		}
	})
}

// how renders and returns how the picture was made.
func how(t *testing.T, p *Pool, source []byte, width int) string {
	t.Helper()
	picture, err := p.Render(t.Context(), source, transform.Spec{Width: width})
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"plain", "raised", "kept"} {
		if bytes.HasSuffix(picture.Body, []byte(word)) {
			return word
		}
	}
	return "unknown"
}

// TestPyramidSecondKeeps: the first rendering of a source keeps nothing, the second does, the third decodes nothing; one that
// needs more than is kept replaces it.
func TestPyramidSecondKeeps(t *testing.T) {
	p := keeperPool(t, nil)
	for i, step := range []struct {
		width int
		want  string
	}{{100, "plain"}, {110, "raised"}, {120, "kept"}, {50, "kept"}, {500, "raised"}, {400, "kept"}, {100, "kept"}, {wide, "plain"}} {
		if got := how(t, p, wideSource(), step.width); got != step.want {
			t.Errorf("rendering %d, %d wide: %s; want %s", i, step.width, got, step.want)
		}
	}
	if s := p.Stats(); s.PyramidsRaised != 2 || s.PyramidRenders != 4 || s.PyramidBytes != int64(len(keptMark)+1) {
		t.Errorf("%+v", s)
	}
	small := fresh()
	for range 3 {
		if got := how(t, p, small, 1); got != "plain" {
			t.Errorf("a small source: %s", got)
		}
	}
}

// TestPyramidTogether: of many sizes that are asked for together one decodes, and it keeps for the largest.
func TestPyramidTogether(t *testing.T) {
	p := keeperPool(t, nil)
	gate := transform.NewGate(p, transform.DefaultLimits(), 2, 32)
	limits := transform.DefaultLimits()
	header, err := limits.ReadHeader(wideSource())
	if err != nil {
		t.Fatal(err)
	}
	// Another size is waiting already, so that whoever is first keeps.
	waiting := p.pyramids.expect(wideSource(), header, transform.Spec{Width: 590}, limits)
	defer p.pyramids.forget(waiting)
	var group sync.WaitGroup
	words := make(chan string, 16)
	for i := range cap(words) {
		group.Go(func() {
			picture, err := gate.Render(t.Context(), wideSource(), transform.Spec{Width: 100 + 30*i, Quality: spins})
			if err != nil {
				t.Error(err)
				return
			}
			words <- string(picture.Body[len(picture.Body)-4:])
		})
	}
	group.Wait()
	close(words)
	counts := map[string]int{}
	for word := range words {
		counts[word]++
	}
	if counts["ised"] != 1 || counts["kept"] != 15 {
		t.Errorf("%v; want one raised and 15 kept", counts)
	}
}

// TestPyramidFailures: a rendering that keeps for others and fails costs itself; the others go on without it.
func TestPyramidFailures(t *testing.T) {
	for _, test := range []struct {
		name   string
		script int
		after  string // how the next rendering is made
	}{
		{"it cannot be kept", refuses, "plain"},
		{"the child dies", segfaults, "plain"},
		{"the child says more than there is room", lies, "plain"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := keeperPool(t, nil)
			source := append(bytes.Clone(wideSource()), test.name...)
			if got := how(t, p, source, 100); got != "plain" {
				t.Fatal(got)
			}
			_, err := p.Render(t.Context(), source, transform.Spec{Width: 100, Quality: test.script})
			if failed := err != nil; failed != (test.script != refuses) {
				t.Errorf("%v", err)
			}
			if got := how(t, p, source, 120); got != test.after {
				t.Errorf("after that: %s; want %s", got, test.after)
			}
		})
	}
	t.Run("its viewer leaves", func(t *testing.T) {
		p := keeperPool(t, nil)
		if got := how(t, p, wideSource(), 100); got != "plain" {
			t.Fatal(got)
		}
		ctx, leave := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := p.Render(ctx, wideSource(), transform.Spec{Width: 100, Quality: sleeps})
			ended <- err
		}()
		eventually(t, 5*time.Second, "raising", func() bool { return p.Stats().Renders == 2 })
		next := make(chan string, 1)
		go func() { next <- how(t, p, wideSource(), 120) }()
		leave()
		if err := <-ended; err == nil {
			t.Error("a picture for nobody")
		}
		if got := <-next; got != "raised" {
			t.Errorf("the next: %s; want raised", got)
		}
	})
}

// TestPyramidMemory: what is kept stays within its bytes, the oldest goes first, and all of it goes when nobody uses it.
func TestPyramidMemory(t *testing.T) {
	now := time.Unix(1e9, 0)
	y := newPyramids(int64(keptSize(sourceKey{width: wide, height: wide}, 0)), time.Hour)
	y.now = func() time.Time { return now }
	header := transform.Header{Format: transform.PNG, Width: wide, Height: wide, Frames: 1, Orientation: 1}
	limits := transform.DefaultLimits()
	keep := func(source string, size int) *errand {
		e := y.expect([]byte(source), header, transform.Spec{Width: 500}, limits)
		other := y.expect([]byte(source), header, transform.Spec{Width: 400}, limits)
		c, _ := y.choose(e)
		if c.raising == nil {
			t.Fatalf("%s is not kept: %+v", source, c)
		}
		fd, err := room(1 << 10)
		if err != nil {
			t.Fatal(err)
		}
		c.raising.fd = fd
		y.finish(e, c.raising, size, false)
		y.forget(e)
		y.forget(other)
		now = now.Add(time.Second)
		return e
	}
	third := int(y.most / 3)
	a, b, c := keep("a", third), keep("b", third), keep("c", third)
	if chosen, _ := y.choose(a); chosen.kept == nil { // a is used again: b is the oldest now
		t.Fatal("a is not there")
	} else {
		y.release(chosen.kept)
	}
	now = now.Add(time.Second)
	chosen, _ := y.choose(b)
	used := chosen.kept
	d := keep("d", third)
	if y.ready(c) || !y.ready(a) || !y.ready(b) || !y.ready(d) {
		t.Errorf("a %v b %v c %v d %v; want c gone", y.ready(a), y.ready(b), y.ready(c), y.ready(d))
	}
	if y.bytes != 3*int64(third) {
		t.Errorf("%d bytes", y.bytes)
	}
	now = now.Add(2 * time.Hour)
	y.sweepIdle()
	if y.bytes != 0 || y.ready(a) {
		t.Errorf("%d bytes after an hour", y.bytes)
	}
	if _, err := unix.FcntlInt(uintptr(used.fd), unix.F_GETFD, 0); err != nil {
		t.Errorf("levels are closed while they are used: %v", err)
	}
	y.release(used)
	if used.fd != -1 {
		t.Error("levels stay open after their last use")
	}
	y.close()
	if chosen, busy := y.choose(a); chosen != (choice{}) || busy {
		t.Errorf("after close: %+v", chosen)
	}
}

// TestPyramidSealed: levels cannot change once they are kept.
func TestPyramidSealed(t *testing.T) {
	fd, err := room(1 << 12)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	memory, detach, err := attachRoom(copied, 1<<12)
	if err != nil {
		t.Fatal(err)
	}
	memory[0] = 7
	if err := fix(fd, 1); err == nil {
		t.Error("levels are fixed while somebody can write to them")
	}
	if err := detach(); err != nil {
		t.Fatal(err)
	}
	if err := fix(fd, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Pwrite(fd, []byte{1}, 0); err == nil {
		t.Error("levels change")
	}
}
