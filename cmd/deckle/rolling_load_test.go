package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/internal/testimage"
)

// rollingLoad asks a fleet at its balancers, each request at its time, whether the former ones have been answered or not.
type rollingLoad struct {
	t             *testing.T
	front, office string
	stop          chan struct{}
	under         sync.WaitGroup

	mu      sync.Mutex
	asked   map[string]int // by kind
	failed  int
	faults  []string                   // the first of them
	answers map[string]map[string]bool // by path: the hashes of what was answered
	arrived map[string][]byte          // uploads that were acknowledged, by id
	tagged  int                        // those of them whose tag was acknowledged
}

const rollingSources = 6

// rollingKinds are what is asked. Each upload takes a token before it, and a tag behind it.
var rollingKinds = []string{"hit", "miss", "token", "upload", "change", "purge"}

// startRollingLoad brings sources in and begins to ask.
func startRollingLoad(t *testing.T, front, office string, every time.Duration) *rollingLoad {
	t.Helper()
	l := &rollingLoad{
		t: t, front: front, office: office, stop: make(chan struct{}),
		asked: map[string]int{}, answers: map[string]map[string]bool{}, arrived: map[string][]byte{},
	}
	for i := range rollingSources {
		l.upload(fmt.Sprintf("rolling%d", i), testimage.JPEG(testimage.Photo(300, 200, uint64(i)), 85))
		l.get("warm", hit(i))
	}
	if l.failed > 0 {
		t.Fatal(l.faults)
	}
	l.under.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-l.stop:
				return
			case <-tick.C:
				l.under.Go(func() { l.arrive(n) })
			}
		}
	})
	return l
}

func hit(n int) string { return fmt.Sprintf("/rolling%d_160_0.webp", n%rollingSources) }

// arrive is the n-th arrival.
func (l *rollingLoad) arrive(n int) {
	switch n % 20 {
	case 0:
		l.upload(fmt.Sprintf("arrived%d", n), testimage.JPEG(testimage.Photo(60+n%50, 40, uint64(n)), 80))
	case 10:
		purge := fmt.Sprintf(`{"source": "rolling%d"}`, n/20%rollingSources)
		l.note("purge", purge, request("POST", l.office+"/purge", strings.NewReader(purge), "Content-Type", "application/json"))
	case 3, 8, 14, 18: // of a size that nobody asked for before
		l.get("miss", fmt.Sprintf("/rolling%d_%d_%d.webp", n%rollingSources, 20+n%200, 20+n/200))
	default:
		l.get("hit", hit(n))
	}
}

// get asks for a picture and remembers what came.
func (l *rollingLoad) get(kind, path string) {
	got := request("GET", l.front+path, nil)
	if !l.note(kind, path, got) {
		return
	}
	sum := sha256.Sum256(got.body)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answers[path] == nil {
		l.answers[path] = map[string]bool{}
	}
	l.answers[path][hex.EncodeToString(sum[:])] = true
}

// upload asks for a token, uses it, and says something of the picture.
func (l *rollingLoad) upload(id string, picture []byte) {
	got := request("POST", l.office+"/token", strings.NewReader(`{"id": "`+id+`"}`))
	var said struct{ Token string }
	if !l.note("token", id, got) {
		return
	}
	if err := json.Unmarshal(got.body, &said); err != nil {
		got.err = err
		l.note("token", id, got)
		return
	}
	if !l.note("upload", id, request("POST", l.front+"/"+id, bytes.NewReader(picture), "X-Token", said.Token)) {
		return
	}
	change := strings.NewReader(`{"tags": ["rolled"]}`)
	changed := l.note("change", id, request("PATCH", l.office+"/images/"+id, change, "Content-Type", "application/json"))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrived[id] = picture
	if changed {
		l.tagged++
	}
}

// more waits for n more answers.
func (l *rollingLoad) more(n int) {
	l.t.Helper()
	answered := func() (all int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, n := range l.asked {
			all += n
		}
		return all
	}
	before := answered()
	eventually(l.t, 10*time.Minute, "the load goes on", func() bool { return answered() >= before+n })
}

// note counts an answer, and tells whether it is a good one.
func (l *rollingLoad) note(kind, what string, got reply) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[kind]++
	if got.status == 200 && got.err == nil {
		return true
	}
	l.failed++
	if len(l.faults) < 20 {
		l.faults = append(l.faults, fmt.Sprintf("%s %s %s: %d %v %.200s", time.Now().Format(time.StampMilli), kind, what, got.status, got.err, got.body))
	}
	return false
}

// end waits for the last answer, and reports what failed.
func (l *rollingLoad) end() {
	l.t.Helper()
	close(l.stop)
	l.under.Wait()
	for _, fault := range l.faults {
		l.t.Error(fault)
	}
	for _, kind := range rollingKinds {
		if l.asked[kind] < 3 {
			l.t.Errorf("%d of %s is no load", l.asked[kind], kind)
		}
	}
}

// check wants every answer to be what one of the two versions makes of the original, and returns how many pictures came from each.
func (l *rollingLoad) check(former, next *daemon) (seen map[*daemon]int) {
	l.t.Helper()
	seen = map[*daemon]int{}
	for path, sums := range l.answers {
		for _, version := range []*daemon{former, next} {
			sum := sha256.Sum256(version.mustGet(path).body)
			if sums[hex.EncodeToString(sum[:])] {
				seen[version]++
				delete(sums, hex.EncodeToString(sum[:]))
			}
		}
		if len(sums) > 0 {
			l.t.Errorf("%s was answered with bytes that neither version makes of it", path)
		}
	}
	return seen
}

// checkUploads wants every upload to be there, with its record, and all that was tagged to be found by its tag.
func (l *rollingLoad) checkUploads(nodes []*daemon) {
	l.t.Helper()
	for i, id := range slices.Sorted(maps.Keys(l.arrived)) {
		node, picture := nodes[i%len(nodes)], l.arrived[id]
		sum := sha256.Sum256(picture)
		type known struct{ Active receipt }
		active := into[known](l.t, node.operate("GET", "/sources/"+id, "", 200)).Active
		if active.SHA256 != hex.EncodeToString(sum[:]) || active.Bytes != int64(len(picture)) {
			l.t.Errorf("the record of %s: %+v", id, active)
		}
		if got := node.mustGet("/" + id + ".jpg"); !bytes.Equal(got.body, picture) {
			l.t.Errorf("%s has %d bytes, %d were uploaded", id, len(got.body), len(picture))
		}
	}
	for _, node := range nodes {
		eventually(l.t, 30*time.Second, "all are found by their tag", func() bool {
			return into[struct{ Total int }](l.t, node.operate("GET", "/images?tag=rolled&limit=1", "", 200)).Total >= l.tagged // more, where one was not acknowledged and is there
		})
	}
}

// String is a row of figures.
func (l *rollingLoad) String() string {
	all := 0
	for _, n := range l.asked {
		all += n
	}
	return fmt.Sprintf("%d | %d, %d, %d, %d, %d | %d", all, l.asked["hit"], l.asked["miss"], l.asked["upload"], l.asked["change"], l.asked["purge"], l.failed)
}
