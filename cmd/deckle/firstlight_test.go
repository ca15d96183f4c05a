package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"
)

// photo returns a picture of 12 MP, made once.
var photo = sync.OnceValue(func() []byte { return testimage.JPEG(testimage.Photo(4000, 3000, 1), 85) })

// TestFirstLight walks the whole way alone: token, upload, rendering, memory, and the disk after a restart.
func TestFirstLight(t *testing.T) {
	data := t.TempDir()
	d := start(t, "--data", data)
	said := d.upload("cat", photo(), false)
	var receipt struct {
		Status, ID, SHA256 string
		Width              int `json:"original_width"`
		Height             int `json:"original_height"`
	}
	if err := json.Unmarshal(said.body, &receipt); err != nil || receipt.Status != "OK" || receipt.Width != 4000 || receipt.Height != 3000 {
		t.Errorf("receipt %s: %v", said.body, err)
	}
	first := d.mustGet("/cat_300_200_2x.webp", "render")
	if format, w, h := first.size(t); format != "webp" || w > 600 || h > 400 || (w != 600 && h != 400) {
		t.Errorf("%s of %dx%d, want webp of at most 600x400 that touches the box", format, w, h)
	}
	second := d.mustGet("/cat_300_200_2x.webp", "memory")
	if !bytes.Equal(first.body, second.body) {
		t.Error("the second answer has other bytes")
	}
	original := d.mustGet("/cat.jpg", "original")
	if !bytes.Equal(original.body, photo()) {
		t.Error("the original is not what was uploaded")
	}
	tag := first.header.Get("Etag")
	if got := d.get("/cat_300_200_2x.webp", "If-None-Match", tag); got.status != 304 || len(got.body) != 0 {
		t.Errorf("If-None-Match: %d with %d bytes", got.status, len(got.body))
	}
	d.stop()
	d.launch()
	third := d.mustGet("/cat_300_200_2x.webp", "disk")
	if !bytes.Equal(first.body, third.body) || third.header.Get("Etag") != tag {
		t.Error("the answer after the restart differs")
	}
	d.mustGet("/cat_600_400.webp", "memory")
	if got := d.metric("deckle_renders_total"); got != 0 {
		t.Errorf("%v renders after the restart", got)
	}
}

// TestTokens holds the statuses of tokens and uploads, on the real listeners.
func TestTokens(t *testing.T) {
	d := start(t, "--data", t.TempDir())
	picture := testimage.JPEG(testimage.Quadrants(60, 40), 80)
	token, _ := d.token("cat", false)
	post := func(path, token string, body []byte) int {
		return request("POST", d.edge+path, bytes.NewReader(body), "X-Token", token).status
	}
	if _, again := d.token("cat", false); again.status != 403 || !bytes.Contains(again.body, []byte(`"error"`)) {
		t.Errorf("a second token: %d %s", again.status, again.body)
	}
	for _, test := range []struct {
		name, path, token string
		body              []byte
		status            int
	}{
		{"no token", "/cat", "", picture, 403},
		{"unknown token", "/cat", strings.Repeat("x", len(token)), picture, 403},
		{"token of another id", "/dog", token, picture, 403},
		{"nothing sent", "/cat", token, nil, 400},
		{"no picture", "/cat", token, []byte("hello, this is no picture at all"), 415},
		{"more than the header says", "/cat", token, picture[:40], 422},
		{"good", "/cat.jpg", token, picture, 200},
		{"the same again", "/cat.jpg", token, picture, 200}, // the answer may have been lost on its way
		{"used", "/cat", token, testimage.JPEG(testimage.Quadrants(30, 30), 80), 403},
	} {
		if got := post(test.path, test.token, test.body); got != test.status {
			t.Errorf("%s: %d, want %d", test.name, got, test.status)
		}
	}
	if _, taken := d.token("cat", false); taken.status != 403 || !bytes.Contains(taken.body, []byte("replace")) {
		t.Errorf("a token for a taken id: %d %s", taken.status, taken.body)
	}
	if got := request("POST", d.admin+"/token", strings.NewReader(`{}`)); got.status != 400 {
		t.Errorf("a token without an id: %d", got.status)
	}
	cropToken, _ := d.token("corner", false)
	if got := post("/corner?x=0&y=0&width=30&height=20", cropToken, picture); got != 200 {
		t.Fatalf("upload with a crop: %d", got)
	}
	if _, w, h := d.mustGet("/corner.jpg", "original").size(t); w != 30 || h != 20 {
		t.Errorf("the cropped source is %dx%d, want 30x20", w, h)
	}
}

// twoNodes starts two nodes that share Redis and S3, each with records of its own.
func twoNodes(t *testing.T, more ...string) (a, b *daemon, redis *testserver.RedisServer) {
	t.Helper()
	redis = testserver.Redis(t)
	s3 := testserver.S3(t)
	s3.SetCredentials(t)
	originals, variants := s3.Bucket(t), s3.Bucket(t)
	node := func() *daemon {
		args := []string{"--data", t.TempDir(), "--redis", redis.URL(), "--origin", s3.URL(originals), "--store", s3.URL(variants)}
		return start(t, append(args, more...)...)
	}
	return node(), node(), redis
}

// TestFleet: what one node renders the other answers from Redis, from S3 when Redis was emptied, and nothing fails while
// Redis is away.
func TestFleet(t *testing.T) {
	a, b, redis := twoNodes(t)
	a.upload("cat", photo(), false)
	rendered := a.mustGet("/cat_300_200.webp", "render")
	eventually(t, 10*time.Second, "A has written behind its answer", func() bool { return a.metric("deckle_backlog_bytes") == 0 })
	fromRedis := b.mustGet("/cat_300_200.webp", "redis")
	if !bytes.Equal(rendered.body, fromRedis.body) || rendered.header.Get("Etag") != fromRedis.header.Get("Etag") {
		t.Error("B's answer differs from A's")
	}
	a.mustGet("/cat_310_200.webp", "render")
	eventually(t, 10*time.Second, "A has written behind its answer", func() bool { return a.metric("deckle_backlog_bytes") == 0 })
	redis.Stop()
	redis.Start() // it keeps nothing
	eventually(t, 10*time.Second, "B's answer comes from S3", func() bool {
		return strings.HasSuffix(b.get("/cat_310_200.webp").header.Get("Cache-Status"), "s3") || b.metric("deckle_requests_total", `outcome="s3"`) > 0
	})
	if got := b.metric("deckle_renders_total"); got != 0 {
		t.Errorf("B rendered %v pictures, want none", got)
	}
	killRedisUnderLoad(t, a, b, redis)
}

// killRedisUnderLoad ends and revives Redis while both nodes answer hits and misses, and wants every answer good.
func killRedisUnderLoad(t *testing.T, a, b *daemon, redis *testserver.RedisServer) {
	t.Helper()
	var asked, failed atomic.Int64
	var size atomic.Int64
	size.Store(20)
	stop := make(chan struct{})
	var load sync.WaitGroup
	for i := range 4 {
		node := []*daemon{a, b}[i%2]
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				path := "/cat_300_200.webp"
				if n := asked.Add(1); n%5 == 0 {
					path = fmt.Sprintf("/cat_%d_%d.jpg", size.Add(1), 50)
				}
				if got := node.get(path); got.status != 200 {
					failed.Add(1)
					t.Errorf("%s: %d %v %s", path, got.status, got.err, got.body)
				}
			}
		})
	}
	enough := func(n int64) { // so many more answers
		goal := asked.Load() + n
		eventually(t, time.Minute, "the load goes on", func() bool { return asked.Load() >= goal })
	}
	enough(200)
	redis.Stop()
	enough(400)
	before := b.metric("deckle_tier_errors_total", `tier="redis"`)
	redis.Start()
	enough(100)
	close(stop)
	load.Wait()
	if before == 0 {
		t.Error("no error of Redis was counted while it was away")
	}
	took := eventually(t, 20*time.Second, "Redis is used again", func() bool {
		path := fmt.Sprintf("/cat_%d_60.jpg", size.Add(1))
		a.mustGet(path)
		eventually(t, 10*time.Second, "A has written behind its answer", func() bool { return a.metric("deckle_backlog_bytes") == 0 })
		return strings.HasSuffix(b.mustGet(path).header.Get("Cache-Status"), "redis")
	})
	t.Logf("%d answers, %d failed; Redis used again %s after the load ended", asked.Load(), failed.Load(), took.Round(time.Millisecond))
}

// TestReplace: the node that took the new picture serves it at once, the other within the stated bound of 5 s.
func TestReplace(t *testing.T) {
	a, b, _ := twoNodes(t)
	old := testimage.JPEG(testimage.Quadrants(400, 300), 90)
	a.upload("cat", old, false)
	for _, node := range []*daemon{a, b} {
		if _, w, h := node.mustGet("/cat_200_200.png").size(t); w != 200 || h != 150 {
			t.Fatalf("the first picture is %dx%d", w, h)
		}
	}
	a.upload("cat", testimage.JPEG(testimage.Quadrants(300, 400), 90), true)
	isNew := func(node *daemon) bool {
		_, w, h := node.mustGet("/cat_200_200.png").size(t)
		return w == 150 && h == 200
	}
	if !isNew(a) {
		t.Error("the node that took the upload serves the former picture")
	}
	took := eventually(t, 7*time.Second, "the other node serves the new picture", func() bool { return isNew(b) })
	t.Logf("the other node served the new picture %s after the upload was acknowledged", took.Round(time.Millisecond))
	if took > 6*time.Second {
		t.Errorf("the other node took %s; the stated bound is 5 s", took)
	}
	for range 50 {
		if !isNew(a) || !isNew(b) {
			t.Fatal("the former picture came back")
		}
	}
}

// TestStorm: a thousand requests for one picture that nobody has yet cost one rendering and one reading of the source.
func TestStorm(t *testing.T) {
	d := start(t, "--data", t.TempDir())
	d.upload("cat", photo(), false)
	var wait sync.WaitGroup
	var good atomic.Int64
	ready := make(chan struct{})
	for range 1000 {
		wait.Go(func() {
			<-ready
			if got := d.get("/cat_300_200.webp"); got.status == 200 {
				good.Add(1)
			} else {
				t.Errorf("%d %v %s", got.status, got.err, got.body)
			}
		})
	}
	close(ready)
	wait.Wait()
	if renders, fetches := d.metric("deckle_renders_total"), d.metric("deckle_source_fetches_total"); renders != 1 || fetches != 1 || good.Load() != 1000 {
		t.Errorf("%v renders and %v fetches for %d good answers, want 1 and 1 for 1000", renders, fetches, good.Load())
	}
}

// TestOverload: work beyond the queue's bound is refused at once, while the slot is still busy with the first, and pictures
// that are there are served all the while.
func TestOverload(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--renderers", "1", "--queue", "2")
	d.upload("cat", photo(), false)
	d.mustGet("/cat_100_100.jpg", "render")
	var wait sync.WaitGroup
	var refused, served atomic.Int64
	var worst atomic.Int64 // of a refusal, ns
	for i := range 13 {    // one runs, two wait, ten are too many
		wait.Go(func() {
			begin := time.Now()
			got := d.get(fmt.Sprintf("/cat_%d_1000.avif", 2000+i))
			switch {
			case got.status == 503 && got.header.Get("Retry-After") != "" && got.header.Get("Cache-Control") == "no-store":
				refused.Add(1)
				worst.Store(max(worst.Load(), int64(time.Since(begin))))
			case got.status == 200:
				served.Add(1)
			default:
				t.Errorf("%d %v %s", got.status, got.err, got.body)
			}
		})
	}
	eventually(t, time.Minute, "the first refusals", func() bool { return refused.Load() >= 10 })
	if n := served.Load(); n > 3 {
		t.Errorf("%d were served before ten were refused: refusals wait", n)
	}
	var slowest time.Duration
	for range 50 {
		begin := time.Now()
		d.mustGet("/cat_100_100.jpg", "memory")
		slowest = max(slowest, time.Since(begin))
	}
	wait.Wait()
	t.Logf("%d refused, the slowest after %s; slowest of 50 hits meanwhile %s",
		refused.Load(), time.Duration(worst.Load()).Round(time.Millisecond), slowest.Round(time.Millisecond))
}

// TestDrain: told to stop, the server ends what it has begun.
func TestDrain(t *testing.T) {
	d := start(t, "--data", t.TempDir())
	d.upload("cat", photo(), false)
	got := make(chan reply, 1)
	go func() { got <- d.get("/cat_1500_1000.webp") }()
	eventually(t, 10*time.Second, "the render runs", func() bool { return d.metric("deckle_renders_running") > 0 })
	d.stop()
	if r := <-got; r.status != 200 || len(r.body) == 0 {
		t.Errorf("the request under way got %d %v", r.status, r.err)
	}
	d.launch()
	d.mustGet("/cat_1500_1000.webp", "disk") // written behind the answer, before the process ended
}

// TestHostileIDs asks for what lies beside the store, spelled in many ways, on the real listener.
func TestHostileIDs(t *testing.T) {
	data := t.TempDir()
	d := start(t, "--data", data)
	secret := testimage.JPEG(testimage.Quadrants(61, 43), 80)
	for _, name := range []string{filepath.Join(data, "secret.jpg"), filepath.Join(data, "secret")} {
		if err := os.WriteFile(name, secret, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	token, _ := d.token("cat", false)
	for _, id := range []string{
		"../secret", "%2e%2e/secret", "..%2fsecret", "%2e%2e%2fsecret", "..%5csecret", `..\secret`, "/secret", "//secret", "./../secret",
		"%00", "secret%00", "../secret%00", "%252e%252e/secret", "..;/secret", "%c0%ae%c0%ae/secret", "%ef%bc%8e%ef%bc%8e/secret",
		strings.Repeat("a", 10<<10), strings.Repeat("../", 50) + "secret", ".tmp/secret", "a/../../secret", "a/%2e%2e/%2e%2e/secret",
	} {
		for _, suffix := range []string{".jpg", "_0_0.jpg", "_10_10.png"} {
			if got := d.raw("GET", "/"+id+suffix, "", ""); got < 400 || got > 499 {
				t.Errorf("GET %.40s%s: %d", id, suffix, got)
			}
		}
		if got := d.raw("POST", "/"+id, token, "x"); got < 400 || got > 499 {
			t.Errorf("POST %.40s: %d", id, got)
		}
	}
	found, err := filepath.Glob(filepath.Join(data, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range found {
		switch filepath.Base(name) {
		case "secret", "secret.jpg", "originals", "variants", "deckle.db", "deckle.db-wal", "deckle.db-shm":
		default:
			t.Errorf("%s was written beside the store", name)
		}
	}
	d.upload("cat2", secret, false)
	d.mustGet("/cat2_10_10.png", "render")
}
