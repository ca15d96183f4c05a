package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"deckle/catalog/sqlite"
	"deckle/internal/testimage"
	"deckle/origin/file"
)

// ledger is what the clients of a crash test know.
type ledger struct {
	mu       sync.Mutex
	accepted map[string][]byte // by id: acknowledged with 200, and the bytes that were sent
	unknown  map[string][]byte // by id: sent, and no answer came
	news     chan struct{}     // one place: an upload was acknowledged
}

func (l *ledger) note(id string, picture []byte, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch status {
	case 200:
		l.accepted[id] = picture
		select {
		case l.news <- struct{}{}:
		default:
		}
	case 0:
		l.unknown[id] = picture
	}
}

// TestCrash kills the server again and again while uploads arrive. Afterwards every upload that it acknowledged is whole, each
// of the others is whole or absent, and no record lacks its bytes. DECKLE_CRASH_ROUNDS and DECKLE_CRASH_SEED set how often
// and when; the seed of a run is logged.
func TestCrash(t *testing.T) {
	rounds, seed := crashRounds(t, 20)
	random := rand.New(rand.NewPCG(seed, 0))
	data := t.TempDir()
	d := start(t, "--data", data)
	l := &ledger{accepted: map[string][]byte{}, unknown: map[string][]byte{}, news: make(chan struct{}, 1)}
	slowest := time.Duration(0)
	for round := range rounds {
		sendUntilKilled(d, l, round, time.Duration(random.IntN(300))*time.Millisecond)
		begin := time.Now()
		d.launch()
		slowest = max(slowest, time.Since(begin))
	}
	checkLedger(t, d, l)
	d.stop()
	lacking := checkRecords(t, data, l)
	if len(l.accepted) < rounds/2 {
		t.Errorf("only %d uploads were acknowledged in %d rounds: the test kills too early to show anything", len(l.accepted), rounds)
	}
	t.Logf("%d kills, %d uploads acknowledged, %d without an answer, %d records lack bytes, slowest start %s",
		rounds, len(l.accepted), len(l.unknown), lacking, slowest.Round(time.Millisecond))
}

// sendUntilKilled lets six clients upload as fast as they can, each id once, and kills the server after a while; in every second
// round that begins when an upload has been acknowledged, however slow the machine is.
func sendUntilKilled(d *daemon, l *ledger, round int, after time.Duration) {
	var senders sync.WaitGroup
	edge, token := d.edge, d.token
	select {
	case <-l.news: // of the round before
	default:
	}
	for sender := range 6 {
		senders.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("r%d/s%d-%d", round, sender, n)
				picture := testimage.JPEG(testimage.Quadrants(40+n%50, 30+round%50), 70+sender)
				secret, asked := token(id, false)
				if asked.status == 0 {
					return
				}
				got := request("POST", edge+"/"+id, bytes.NewReader(picture), "X-Token", secret)
				if got.err != nil {
					got.status = 0 // an answer that was cut off is none
				}
				l.note(id, picture, got.status)
				if got.status == 0 {
					return
				}
			}
		})
	}
	if round%2 == 1 {
		select {
		case <-l.news:
		case <-time.After(30 * time.Second):
		}
	}
	// What the server is doing when it dies is left to chance.
	time.Sleep(after + 50*time.Millisecond)
	d.kill()
	senders.Wait()
}

func checkLedger(t *testing.T, d *daemon, l *ledger) {
	t.Helper()
	for id, picture := range l.accepted {
		if got := d.get("/" + id + "_0_0.jpg"); got.status != 200 || !bytes.Equal(got.body, picture) {
			t.Errorf("%s was acknowledged and is lost: %d, %d bytes of %d", id, got.status, len(got.body), len(picture))
		}
	}
	for id, picture := range l.unknown {
		switch got := d.get("/" + id + "_0_0.jpg"); {
		case got.status == 404:
		case got.status == 200 && bytes.Equal(got.body, picture):
		default:
			t.Errorf("%s got no answer and is torn: %d, %d bytes of %d", id, got.status, len(got.body), len(picture))
		}
	}
}

// checkRecords opens the records and the store of a stopped server and counts records whose source is not there, or differs.
func checkRecords(t *testing.T, data string, l *ledger) (lacking int) {
	t.Helper()
	records, err := sqlite.Open(filepath.Join(data, "deckle.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = records.Close() }() // only read
	store, err := file.New(filepath.Join(data, "originals"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }() // only read
	for id, picture := range l.accepted {
		record, err := records.Record(context.Background(), id)
		if err != nil {
			t.Errorf("%s was acknowledged and has no record: %v", id, err)
		} else if record.Bytes != int64(len(picture)) {
			t.Errorf("the record of %s has %d bytes, want %d", id, record.Bytes, len(picture))
		}
	}
	for id := range l.unknown {
		if _, err := records.Record(context.Background(), id); err != nil {
			continue
		}
		if _, err := store.Stat(context.Background(), id); err != nil {
			lacking++
			t.Errorf("%s has a record and no bytes: %v", id, err)
		}
	}
	return lacking
}

// TestRetryAfterCrash: a client whose upload was cut off by a crash repeats it with the same token.
func TestRetryAfterCrash(t *testing.T) {
	d := start(t, "--data", t.TempDir())
	token, _ := d.token("cat", false)
	picture := testimage.JPEG(testimage.Quadrants(60, 40), 80)
	if got := request("POST", d.edge+"/cat", bytes.NewReader(picture), "X-Token", token); got.status != 200 {
		t.Fatalf("upload: %d %s", got.status, got.body)
	}
	d.kill()
	d.launch()
	got := request("POST", d.edge+"/cat", bytes.NewReader(picture), "X-Token", token)
	var receipt struct{ Status, ID string }
	if err := json.Unmarshal(got.body, &receipt); err != nil || got.status != 200 || receipt.ID != "cat" {
		t.Errorf("the repeated upload: %d %s", got.status, got.body)
	}
}
