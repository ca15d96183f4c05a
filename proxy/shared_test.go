package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deckle/cache"
	"deckle/fleet"
	"deckle/fleet/local"
	"deckle/internal/testimage"
	"deckle/origin"
	"deckle/transform"
)

// newPair returns two edges of one fleet, with memories of their own, which both have a source of that id.
func newPair(t *testing.T, leases fleet.Leases, id string) [2]*edge {
	t.Helper()
	pair := [2]*edge{newEdge(t), newEdge(t)}
	pair[0].keep(id, testimage.PNG(testimage.Quadrants(40, 30)))
	if err := os.Link(filepath.Join(pair[0].dir, id), filepath.Join(pair[1].dir, id)); err != nil { // the same version
		t.Fatal(err)
	}
	for _, e := range pair {
		e.proxy.Leases = leases
	}
	return pair
}

// ask gets a path and returns status, Cache-Status and body.
func (e *edge) ask(path string) (int, string, []byte) {
	response, err := http.Get(e.url + path)
	if err != nil {
		e.t.Error(err)
		return 0, "", nil
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		e.t.Error(err)
	}
	return response.StatusCode, response.Header.Get("Cache-Status"), b.Bytes()
}

// TestOneRenderForTheFleet: what many ask both nodes for is rendered by one, be it a picture or a failure.
func TestOneRenderForTheFleet(t *testing.T) {
	tests := map[string]struct {
		err    error
		status int
	}{
		"a picture": {nil, 200},
		"a failure": {fmt.Errorf("decode: %w", transform.ErrMalformed), 422},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			pair := newPair(t, local.New(time.Minute), "cat")
			for _, e := range pair {
				e.engine.before = func(transform.Spec) error { return test.err }
			}
			var all sync.WaitGroup
			var fromFleet atomic.Int64
			for i := range 40 {
				all.Go(func() {
					status, from, _ := pair[i%2].ask("/cat_20_20.png")
					if status != test.status {
						t.Errorf("status %d, want %d", status, test.status)
					}
					if from == "Deckle; fwd=miss; collapsed; detail=fleet" {
						fromFleet.Add(1)
					}
				})
			}
			all.Wait()
			if got := pair[0].engine.renders.Load() + pair[1].engine.renders.Load(); got != 1 {
				t.Errorf("%d renders", got)
			}
			if got := fromFleet.Load(); test.err == nil && got != 1 { // of the node that did not render, and there the first
				t.Errorf("%d answers say that another node rendered, want 1", got)
			}
		})
	}
}

// TestOwnTrouble: what is wrong with one node is not passed on: the other one tries.
func TestOwnTrouble(t *testing.T) {
	for _, trouble := range []error{transform.ErrBusy, origin.ErrUnavailable} {
		pair := newPair(t, local.New(time.Minute), "cat")
		pair[0].engine.before = func(transform.Spec) error { return trouble }
		if status, _, _ := pair[0].ask("/cat_20_20.png"); status != 503 {
			t.Errorf("%v: status %d, want 503", trouble, status)
		}
		if status, _, _ := pair[1].ask("/cat_20_20.png"); status != 200 {
			t.Errorf("%v on another node: status %d, want 200", trouble, status)
		}
	}
}

// TestPanicGivesTheLeaseBack: a render that panics leaves no lease behind that others wait for.
func TestPanicGivesTheLeaseBack(t *testing.T) {
	pair := newPair(t, local.New(time.Minute), "cat")
	pair[0].engine.before = func(transform.Spec) error { panic("engine") }
	if status, _, _ := pair[0].ask("/cat_20_20.png"); status != 500 {
		t.Errorf("status %d, want 500", status)
	}
	if status, _, _ := pair[1].ask("/cat_20_20.png"); status != 200 {
		t.Errorf("the other node: status %d, want 200", status)
	}
}

// answered are leases of a fleet in which another node has always left the same.
type answered []byte

func (a answered) Take(context.Context, string) (fleet.Lease, []byte, error) { return nil, a, nil }

// TestUselessResults: a result that holds no answer costs a render, and no more.
func TestUselessResults(t *testing.T) {
	foreign, _ := resultOf(t.Context(), cache.Key{Source: "dog"}, cache.NewEntry(cache.Entry{Body: []byte("dog")}), nil)
	results := map[string]string{
		"garbage": "garbage", "another key's entry": string(foreign), "in the tiers, and not there": string(resultElsewhere),
		"no JSON": "F{", "an unknown failure": `F{"kind":"of a later version"}`, "a truncated entry": string(foreign[:20]),
	}
	for name, result := range results {
		e := newEdge(t)
		e.keep("cat", testimage.PNG(testimage.Quadrants(40, 30)))
		e.proxy.Leases = answered(result)
		if status, from, _ := e.ask("/cat_20_20.png"); status != 200 || !strings.HasSuffix(from, "detail=render") {
			t.Errorf("%s: %d %s", name, status, from)
		}
	}
}

// TestLongResult: an entry that is longer than results may be is said to be in the tiers.
func TestLongResult(t *testing.T) {
	key := cache.Key{Source: "cat"}
	for size, want := range map[int]error{100: nil, fleet.MaxResult - 300: nil, fleet.MaxResult: errElsewhere, fleet.MaxResult - 20: errElsewhere} {
		entry := cache.NewEntry(cache.Entry{Body: make([]byte, size), ContentType: "image/png"})
		result, keep := resultOf(t.Context(), key, entry, nil)
		if len(result) > fleet.MaxResult || keep != resultTime {
			t.Errorf("%d bytes: a result of %d for %s", size, len(result), keep)
		}
		got, err := readResult(key, result)
		if !errors.Is(err, want) || (err == nil && !bytes.Equal(got.Body, entry.Body)) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestSharedFailures: a failure is answered on every node as on the one that met it.
func TestSharedFailures(t *testing.T) {
	failures := []error{&transform.SpecError{Option: "crop", Value: "9,9,1,1", Hint: "it is outside the picture"}}
	for _, sentinel := range sharedFailures {
		failures = append(failures, sentinel, fmt.Errorf("%w: 9 of 5 bytes", sentinel))
	}
	for _, failure := range failures {
		err := fmt.Errorf("render cat: %w", failure)
		result, keep := resultOf(t.Context(), cache.Key{}, nil, err)
		if keep <= 0 {
			t.Fatalf("%v is not shared", err)
		}
		_, got := readResult(cache.Key{}, result)
		wantStatus, wantBody := StatusOf(err)
		status, body := StatusOf(got)
		if status != wantStatus || !bytes.Equal(body, wantBody) {
			t.Errorf("%v: %d %s, want %d %s", err, status, body, wantStatus, wantBody)
		}
	}
	for _, err := range []error{errors.New("anything"), context.Canceled, transform.ErrBusy, origin.ErrUnavailable, &transform.PanicError{Value: 1}} {
		if result, _ := resultOf(t.Context(), cache.Key{}, nil, err); result != nil {
			t.Errorf("%v is shared as %s", err, result)
		}
	}
}

// FuzzReadResult: whatever other nodes leave is an entry of the key, a failure with a row in the table, or no result.
func FuzzReadResult(f *testing.F) {
	key := cache.Key{Source: "cat", Version: "v", Variant: ".png"}
	entry, _ := resultOf(context.Background(), key, cache.NewEntry(cache.Entry{Body: []byte("body")}), nil)
	failure, _ := resultOf(context.Background(), key, nil, fmt.Errorf("x: %w: y", transform.ErrLimit))
	spec, _ := resultOf(context.Background(), key, nil, &transform.SpecError{Option: "crop"})
	for _, seed := range [][]byte{entry, failure, spec, {resultElsewhere}, {resultEntry}, {resultFailure}, nil} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, result []byte) {
		got, err := readResult(key, result)
		switch {
		case err == nil:
			if again, _ := resultOf(t.Context(), key, got, nil); !bytes.Equal(again, result) {
				t.Errorf("%q is spelled %q", result, again)
			}
		case got != nil:
			t.Errorf("an entry beside %v", err)
		case !errors.Is(err, errNoResult) && !errors.Is(err, errElsewhere):
			if status, _ := StatusOf(err); status < 400 || status == 500 {
				t.Errorf("%v is answered %d", err, status)
			}
		}
	})
}
