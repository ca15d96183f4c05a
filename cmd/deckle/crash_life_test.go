package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/internal/testimage"
)

// Where a picture is in its life.
const (
	lifeNone    = "none"
	lifePending = "pending"
	lifeServed  = "served"
)

// lifePicture is what a client knows of one picture.
type lifePicture struct {
	Shade  uint8  // its only colour
	Turned bool   // 30x40 instead of 40x30
	SHA256 string // of the stored bytes; empty when no answer said so
	Ext    string
	Kept   bool // of one that was deleted: it was private
}

// lifeState is what two ids hold together, of which a picture has one.
type lifeState struct {
	Life    string
	At      int // which of the ids
	Private bool
	Picture lifePicture
	Trash   [2]lifePicture
}

// lifeSlot is two ids and the states that they may be in: one, but after an operation without an answer two.
type lifeSlot struct {
	ids   [2]string
	maybe []lifeState
	since time.Time // of the last operation
}

func (s *lifeSlot) now() lifeState { return s.maybe[0] }

// lives is the crash test's clients: what they know, and what they did.
type lives struct {
	t *testing.T
	d *daemon

	mu     sync.Mutex
	random *rand.Rand
	slots  []*lifeSlot // that no client is at
	limbo  []*lifeSlot // whose last operation got no answer
	made   int
	again  int            // times that one of limbo was gone on with
	count  map[string]int // operations
	wrong  map[string]int // by what
}

func (l *lives) chance(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.random.IntN(n)
}

// fault counts what is wrong, and fails the test.
func (l *lives) fault(kind, format string, args ...any) {
	l.mu.Lock()
	l.wrong[kind]++
	l.mu.Unlock()
	l.t.Errorf("%s: "+format, append([]any{kind}, args...)...)
}

// take hands out a slot to work at, a new one when there are few.
func (l *lives) take() *lifeSlot {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.slots) < 12 {
		l.made++
		name := fmt.Sprintf("life/s%d", l.made)
		return &lifeSlot{ids: [2]string{name + "a", name + "b"}, maybe: []lifeState{{Life: lifeNone}}}
	}
	i := l.random.IntN(len(l.slots))
	s := l.slots[i]
	l.slots = slices.Delete(l.slots, i, i+1)
	return s
}

func (l *lives) put(s *lifeSlot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(s.maybe) > 1 {
		l.limbo = append(l.limbo, s)
	} else {
		l.slots = append(l.slots, s)
	}
}

func (l *lives) newPicture() (lifePicture, []byte) {
	p := lifePicture{Shade: uint8(20 + 5*l.chance(42)), Ext: []string{"png", "jpg"}[l.chance(2)]}
	img := image.NewNRGBA(image.Rect(0, 0, 40, 30))
	draw.Draw(img, img.Rect, image.NewUniform(color.NRGBA{p.Shade, 255 - p.Shade, 128, 255}), image.Point{}, draw.Src)
	if p.Ext == "jpg" {
		return p, testimage.JPEG(img, 90)
	}
	return p, testimage.PNG(img)
}

// lifeOp is one operation: the state that it leads to, and how it is asked for.
type lifeOp struct {
	name  string
	after lifeState
	ask   func(d *daemon) reply
}

// choose picks an operation that the state allows.
func (l *lives) choose(s *lifeSlot) lifeOp {
	now := s.now()
	id := s.ids[now.At]
	all := map[string][]string{
		lifeNone:    {"upload", "upload", "upload private", "upload pending", "restore"},
		lifePending: {"publish", "publish", "delete"},
		lifeServed:  {"replace", "replace by token", "rotate", "rotate to a new id", "unpublish", "delete", "private", "public"},
	}[now.Life]
	op := lifeOp{name: all[l.chance(len(all))], after: now}
	json := func(method, path, body string, args ...any) func(*daemon) reply {
		return func(d *daemon) reply {
			return request(method, d.admin+path, strings.NewReader(fmt.Sprintf(body, args...)))
		}
	}
	switch op.name {
	case "restore":
		if now.Trash[now.At] == (lifePicture{}) {
			return l.upload(s, "upload")
		}
		op.after.Life, op.after.Picture, op.after.Trash[now.At] = lifeServed, now.Trash[now.At], lifePicture{}
		op.after.Private, op.after.Picture.Kept = op.after.Picture.Kept, false
		op.ask = json("POST", "/restore", `{"ids": [%q]}`, id)
	case "publish":
		op.after.Life = lifeServed
		op.ask = json("POST", "/publish", `{"sources": [{"id": %q}]}`, id)
	case "unpublish":
		op.after.Life = lifePending
		op.ask = json("POST", "/unpublish", `{"ids": [%q]}`, id)
	case "delete":
		if op.after.Life = lifeNone; now.Life == lifeServed {
			op.after.Trash[now.At] = now.Picture
			op.after.Trash[now.At].Kept = now.Private
		}
		op.ask = json("POST", "/delete", `{"ids": [%q]}`, id)
	case "private", "public":
		op.after.Private = op.name == "private"
		op.ask = json("PATCH", "/sources/"+id, `{"private": %v}`, op.after.Private)
	case "rotate":
		op.after.Picture.Turned, op.after.Picture.SHA256 = !now.Picture.Turned, ""
		op.ask = json("POST", "/rotate", `{"id": %q, "turn": "90"}`, id)
	case "rotate to a new id":
		op.after.Picture.Turned, op.after.Picture.SHA256, op.after.At = !now.Picture.Turned, "", 1-now.At
		op.ask = json("POST", "/rotate", `{"id": %q, "turn": "90", "new_id": %q, "move": true}`, id, s.ids[1-now.At])
	default:
		return l.upload(s, op.name)
	}
	return op
}

// upload are the operations that bring bytes in.
func (l *lives) upload(s *lifeSlot, name string) lifeOp {
	now := s.now()
	picture, body := l.newPicture()
	op := lifeOp{name: name, after: now}
	op.after.Life, op.after.Picture = lifeServed, picture
	id, policy := s.ids[now.At], `{}`
	if now.Life == lifeNone {
		op.after.Private = false
	}
	switch name {
	case "replace":
		op.ask = func(d *daemon) reply {
			return request("PUT", d.admin+"/sources/"+id, bytes.NewReader(body))
		}
		return op
	case "upload private":
		op.after.Private, policy = true, `{"private": true}`
	case "upload pending":
		op.after.Life, policy = lifePending, `{"publish": "later"}`
	}
	op.ask = func(d *daemon) reply {
		asked := request("POST", d.admin+"/grants", strings.NewReader(fmt.Sprintf(`{"grants": [{"id": %q, "replace": %v, "policy": %s}]}`, id, now.Life != lifeNone, policy)))
		var said struct{ Grants []grant }
		if json.Unmarshal(asked.body, &said) != nil || len(said.Grants) != 1 || said.Grants[0].Post == nil {
			return asked
		}
		return request("POST", d.edge+"/"+id, bytes.NewReader(body), "X-Token", said.Grants[0].Token)
	}
	return op
}

// step does one operation at a slot and notes what its answer says; false when the server is gone.
func (l *lives) step(s *lifeSlot) bool {
	op := l.choose(s)
	got := op.ask(l.d)
	if got.err != nil {
		got.status = 0 // an answer that was cut off is none
	}
	s.since = time.Now()
	l.mu.Lock()
	l.count[op.name]++
	l.mu.Unlock()
	switch {
	case got.status == 200:
		op.after.Picture.SHA256 = shaIn(got.body, op.after.Picture.SHA256)
		s.maybe = []lifeState{op.after}
		return true
	case got.status == 0 || got.status >= 500:
		s.maybe = append(s.maybe, op.after)
		return got.status != 0
	}
	l.fault("lost", "%s of %s in the state %+v: %d %s", op.name, s.ids[s.now().At], s.now(), got.status, got.body)
	return true
}

// shaIn finds the hash that a receipt tells, if it tells one.
func shaIn(body []byte, otherwise string) string {
	var said struct {
		SHA256  string
		Results []struct{ Source *receipt }
	}
	_ = json.Unmarshal(body, &said) // not every answer is one
	if len(said.Results) == 1 && said.Results[0].Source != nil {
		said.SHA256 = said.Results[0].Source.SHA256
	}
	if said.SHA256 == "" {
		return otherwise
	}
	return said.SHA256
}

// live has clients work until the server is killed.
func (l *lives) live(clients int, until time.Duration) {
	var working sync.WaitGroup
	for range clients {
		working.Go(func() {
			for {
				s := l.take()
				alive := l.step(s)
				if alive && len(s.maybe) == 1 && l.chance(3) == 0 {
					// A server that dies meanwhile says nothing wrong.
					if _, ok := l.look(s.ids, s.maybe, false); !ok {
						alive = false
					}
				}
				l.put(s)
				if !alive {
					return
				}
			}
		})
	}
	time.Sleep(until) // what it is doing when it dies is left to chance
	l.d.kill()
	working.Wait()
}

// TestCrashLife kills the server again and again while pictures live: they are uploaded, published, unpublished, turned in their
// place and to new ids, replaced, made private and public, deleted and restored. Afterwards every state that was acknowledged is
// there, every other one is the one before or the one after, no shown rendering is of former bytes, and a sweep leaves
// nothing that nobody refers to. DECKLE_CRASH_ROUNDS and DECKLE_CRASH_SEED set how often and when.
func TestCrashLife(t *testing.T) {
	rounds, seed := crashRounds(t, 10)
	data := t.TempDir()
	l := &lives{
		t: t, d: start(t, "--data", data, "--undelete", "24h", "--token-lifetime", "30s", "--access-log", "errors"), random: rand.New(rand.NewPCG(seed, 1)),
		count: map[string]int{}, wrong: map[string]int{},
	}
	begin := time.Now()
	for range rounds {
		l.live(4, 100*time.Millisecond+time.Duration(l.chance(500))*time.Millisecond)
		l.d.launch()
		l.revisit(4)
	}
	if rounds >= 100 {
		l.settle(data)
	}
	l.d.stop()
	left := recoverLeft(t, data)
	l.d.launch()
	slots := slices.Concat(l.slots, l.limbo)
	for _, s := range slots {
		l.look(s.ids, s.maybe, true)
	}
	l.d.stop()
	orphans := l.orphans(data)
	total := 0
	for _, n := range l.count {
		total += n
	}
	figures := fmt.Sprintf("%d kills over %d operations on %d pairs of ids in %s, %d of them without an answer: %d acknowledged states lost, %d torn or neither before nor after, %d orphans after the sweep, %d stale renderings shown, %d private pictures shown",
		rounds, total, len(slots), time.Since(begin).Round(time.Second), len(l.limbo)+l.again, l.wrong["lost"], l.wrong["torn"], orphans, l.wrong["stale"], l.wrong["shown"])
	t.Logf("seed %d; %v; the recovery after the end finished %d changes", seed, l.count, left)
	report(t, "C4 an acknowledged state is never lost or torn", "%s", figures)
	if name := os.Getenv("DECKLE_CRASH_REPORT"); name != "" {
		text := fmt.Sprintf("# Crash: kill -9 over the life of pictures\n\n`make crash`, TestCrashLife, seed %d, %d cores, %s.\n\n%s.\n\nOperations: %s.\n",
			seed, runtime.NumCPU(), runtime.Version(), figures, strings.Trim(fmt.Sprint(l.count), "map[]"))
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// revisit looks at some slots that nobody was at when the server died, and goes on with those that were once the right of the dead
// to change them has run out.
func (l *lives) revisit(some int) {
	l.t.Helper()
	l.mu.Lock()
	known := slices.Clone(l.slots)
	l.random.Shuffle(len(known), func(i, j int) { known[i], known[j] = known[j], known[i] })
	var ripe []*lifeSlot
	l.limbo = slices.DeleteFunc(l.limbo, func(s *lifeSlot) bool {
		old := time.Since(s.since) > 100*time.Second // a lease, and a minute until somebody looks
		if old {
			ripe = append(ripe, s)
		}
		return old
	})
	l.again += len(ripe)
	l.mu.Unlock()
	for _, s := range known[:min(some, len(known))] {
		l.look(s.ids, s.maybe, true)
	}
	for _, s := range ripe {
		if found, ok := l.look(s.ids, s.maybe, true); ok {
			s.maybe = []lifeState{found}
			l.put(s)
		}
	}
}

// settle waits until the server has finished what its dead predecessors left unfinished.
func (l *lives) settle(data string) {
	l.t.Helper()
	eventually(l.t, 4*time.Minute, "unfinished changes are finished", func() bool { return unfinished(l.t, data) == 0 })
}

// Statuses of pictures that are there, and are not.
const (
	isThere  = http.StatusOK
	isAbsent = http.StatusNotFound
)
