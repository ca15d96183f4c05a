package ingest

import (
	"bytes"
	"crypto/md5" // as clients name what they sent; a name and no proof
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/catalog"
	"deckle/event"
	"deckle/internal/testimage"
	"deckle/origin"
	"deckle/transform"
)

func (b *bench) deposit(body []byte, said Description) (catalog.Record, bool, error) {
	return b.Deposit(b.t.Context(), Deposit{Body: bytes.NewReader(body), Describe: func() (Description, error) { return said, nil }})
}

func (b *bench) mustDeposit(body []byte, said Description) (catalog.Record, bool) {
	b.t.Helper()
	r, created, err := b.deposit(body, said)
	if err != nil {
		b.t.Fatalf("%+v: %v", said, err)
	}
	return r, created
}

func sumMD5(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// TestDeposit: an owner has one picture of each file, and what is said of it anew takes the place of what was said.
func TestDeposit(t *testing.T) {
	b := newBench(t)
	b.listen()
	when, private, public := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), true, false
	first, created := b.mustDeposit(photo(1), Description{
		Owner: "ann", File: "a/cat.jpg", Name: "Tom", Time: when, Tags: []string{"x"}, Data: json.RawMessage(`{"a":1}`), Private: &private,
	})
	if !created || first.Owner != "ann" || first.File != "a/cat.jpg" || !first.Time.Equal(when) || !first.Private || first.Data != `{"a":1}` {
		t.Errorf("%v %+v", created, first)
	}
	b.clock.Move(time.Minute)
	again, created := b.mustDeposit(photo(2), Description{Owner: "ann", File: "a/cat.jpg"})
	if created || again.ID != first.ID || !again.Time.Equal(b.clock.Now()) || !again.Created.Equal(first.Created) || again.Data != "{}" || again.Name != "Tom" || !again.Private {
		t.Errorf("%v %+v", created, again)
	}
	if got := b.picture(first.ID); got != "photo 2" {
		t.Errorf("served is %q", got)
	}
	if shown, _ := b.mustDeposit(photo(3), Description{Owner: "ann", ID: first.ID, File: "b/cat.jpg", Private: &public}); shown.Private || shown.File != "b/cat.jpg" || b.picture(first.ID) != "photo 3" {
		t.Errorf("%+v", shown)
	}
	if other, created := b.mustDeposit(photo(1), Description{Owner: "bob", File: "b/cat.jpg"}); !created || other.ID == first.ID {
		t.Errorf("another owner's: %v %+v", created, other)
	}
	if nameless, created := b.mustDeposit(photo(1), Description{}); !created || nameless.File != "" {
		t.Errorf("without a file: %v %+v", created, nameless)
	}
	b.mustHear(first.ID, event.Uploaded, event.Replaced, event.Replaced)
	b.checkWhole()
}

func TestDepositRefused(t *testing.T) {
	limits := transform.DefaultLimits()
	limits.SourceBytes = 100 << 10
	b := newBench(t, func(c *Config) { c.Limits = limits })
	taken, _ := b.mustDeposit(photo(1), Description{Owner: "ann", File: "taken"})
	others, _ := b.mustDeposit(photo(1), Description{Owner: "bob"})
	b.store.commits.Store(0)
	fault := errors.New("said so")
	for _, test := range []struct {
		name string
		body []byte
		said Description
		want error
	}{
		{"nothing", nil, Description{}, ErrNoImage},
		{"no picture", []byte("text"), Description{}, transform.ErrUnsupported},
		{"too large", bytes.Repeat(photo(1), 400), Description{}, ErrTooLarge},
		{"bad id", photo(2), Description{ID: "../x"}, origin.ErrBadID},
		{"data that is a list", photo(2), Description{Data: json.RawMessage(`[]`)}, ErrPolicy},
		{"data that cannot be kept", photo(2), Description{Data: json.RawMessage(`{"a":1e999}`)}, ErrPolicy},
		{"too much data", photo(2), Description{Data: json.RawMessage(`{"a":"` + strings.Repeat("x", MaxLibraryData) + `"}`)}, ErrPolicy},
		{"a long file", photo(2), Description{File: strings.Repeat("x", maxLibraryFile+1)}, ErrPolicy},
		{"a file that is no text", photo(2), Description{File: "\xff"}, ErrPolicy},
		{"a file of another id", photo(2), Description{Owner: "ann", ID: "new", File: "taken"}, ErrExists},
		{"another file of a taken name", photo(2), Description{Owner: "bob", ID: others.ID, File: "taken"}, nil}, // bob's own
		{"another's id", photo(2), Description{Owner: "bob", ID: taken.ID}, ErrNotFound},
		{"what the description says", photo(2), Description{Name: "fault"}, fault},
	} {
		_, _, err := b.Deposit(t.Context(), Deposit{Body: bytes.NewReader(test.body), Describe: func() (Description, error) {
			if test.said.Name == "fault" {
				return test.said, fault
			}
			return test.said, nil
		}})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	if n := b.store.commits.Load(); n != 1 {
		t.Errorf("%d were stored, want 1", n)
	}
	b.checkWhole()
}

// TestDepositsAtOnce: of many deposits of a file at one time one makes the picture, and all others its next versions.
func TestDepositsAtOnce(t *testing.T) {
	b := newBench(t, func(c *Config) { c.MaxConcurrent, c.Patience = 32, 30*time.Second })
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		ids     []string
		news    int
	)
	for i := range uint64(16) {
		running.Go(func() {
			r, created, err := b.deposit(photo(i%4), Description{Owner: "ann", File: "cat.jpg"})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			ids = append(ids, r.ID)
			if created {
				news++
			}
		})
	}
	running.Wait()
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) != 1 || news != 1 {
		t.Fatalf("ids %q, %d new", ids, news)
	}
	b.picture(ids[0])
	b.checkWhole()
	if n, _, err := b.catalog.Usage(t.Context(), "ann"); n != 1 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
}

func TestMintID(t *testing.T) {
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	a, b, later := MintID(now), MintID(now), MintID(now.Add(time.Second))
	if len(a) != 24 || origin.CheckID(a) != nil || a == b || a[:8] != b[:8] || later < a || later < b {
		t.Errorf("%s %s %s", a, b, later)
	}
	if seconds := fmt.Sprintf("%08x", now.Unix()); a[:8] != seconds {
		t.Errorf("%s does not begin with %s", a, seconds)
	}
}

// putFor puts a body where a client's PUT to the store itself would.
func (b *bench) putFor(id string, body []byte, policy Policy) {
	b.t.Helper()
	policy.Later = true
	object := putObject(hashToken(b.grant(id, policy)))
	area := filepath.Join(b.dir, "originals", origin.Incoming.Dir())
	if err := errors.Join(os.MkdirAll(area, 0o700), os.WriteFile(filepath.Join(area, object), body, 0o600)); err != nil {
		b.t.Fatal(err)
	}
}

// TestConfirmUpload: by whichever way the bytes came, they are known by what was sent and by what is stored.
func TestConfirmUpload(t *testing.T) {
	located := testimage.WithGPS(photo(1), 1)
	for name, bring := range map[string]func(b *bench, id string, policy Policy){
		"by the edge":    func(b *bench, id string, policy Policy) { b.pend(id, policy, located) },
		"into the store": func(b *bench, id string, policy Policy) { b.putFor(id, located, policy) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(c *Config) { c.Scrub = true })
			confirm := func(id, owner string, want PublishCheck) error {
				t.Helper()
				_, err := b.ConfirmUpload(t.Context(), id, owner, want)
				return err
			}
			if err := confirm("cat", "", PublishCheck{}); !errors.Is(err, ErrNotFound) {
				t.Errorf("before there is a grant: %v", err)
			}
			bring(b, "cat", Policy{Owner: "ann"})
			if err := confirm("cat", "bob", PublishCheck{}); !errors.Is(err, ErrNotFound) {
				t.Errorf("by another: %v", err)
			}
			if err := confirm("cat", "ann", PublishCheck{MD5: sumMD5(photo(2))}); !errors.Is(err, ErrHash) {
				t.Errorf("other bytes: %v", err)
			}
			if b.picture("cat") != "" {
				t.Error("what was refused is served")
			}
			for range 2 {
				if err := confirm("cat", "ann", PublishCheck{MD5: sumMD5(located), Name: "Tom", Private: true}); err != nil {
					t.Error(err)
				}
			}
			r, err := b.ConfirmUpload(t.Context(), "cat", "", PublishCheck{})
			if err != nil || r.Name != "Tom" || !r.Private || r.Owner != "ann" || r.MD5 == sumMD5(located) {
				t.Errorf("%+v %v", r, err)
			}
			if err := confirm("cat", "", PublishCheck{MD5: r.MD5}); err != nil {
				t.Errorf("by the stored bytes: %v", err)
			}
			if err := confirm("cat", "bob", PublishCheck{}); !errors.Is(err, ErrNotFound) {
				t.Errorf("by another: %v", err)
			}
			b.picture("cat")
			b.checkWhole()
			b.checkAreas(0)
		})
	}
}

// libraryRows are changes of the library, which die as those of TestCrashOfChanges.
var libraryRows = []changeRow{
	{"deposit", func(*bench) {}, func(b *bench) error {
		_, _, err := b.deposit(photo(1), Description{ID: "cat", Owner: "ann", File: "f"})
		return err
	}, [2]string{}, [2]string{"photo 1"}, nil},
	{"deposit over another", func(b *bench) { b.mustDeposit(photo(1), Description{ID: "cat", Owner: "ann", File: "f"}) }, func(b *bench) error {
		_, _, err := b.deposit(photo(2), Description{Owner: "ann", File: "f"})
		return err
	}, [2]string{"photo 1"}, [2]string{"photo 2"}, nil},
	{"deposit under another file", func(b *bench) { b.mustDeposit(photo(1), Description{ID: "cat", Owner: "ann", File: "f"}) }, func(b *bench) error {
		_, _, err := b.deposit(photo(2), Description{ID: "cat", Owner: "ann", File: "g"})
		return err
	}, [2]string{"photo 1"}, [2]string{"photo 2"}, nil},
	{"confirm what is in the store", func(b *bench) { b.putFor("cat", photo(1), Policy{}) }, func(b *bench) error {
		_, err := b.ConfirmUpload(b.t.Context(), "cat", "", PublishCheck{MD5: sumMD5(photo(1))})
		return err
	}, [2]string{}, [2]string{"photo 1"}, nil},
}

func TestCrashOfDeposits(t *testing.T) {
	for _, row := range libraryRows {
		t.Run(row.name, func(t *testing.T) {
			for step := 0; !crashAt(t, row, step); step++ {
				if step > 100 {
					t.Fatal("it has no end")
				}
			}
		})
	}
}
