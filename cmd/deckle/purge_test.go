package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"deckle/admin"
	"deckle/cache"
	"deckle/internal/testimage"
	"deckle/internal/testserver"
)

// execute runs the real binary and returns what it printed and its exit code.
func execute(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	c := deckle(nil, args...)
	var out, errs bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &out, &errs
	var ended *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

// purge asks a node over HTTP.
func (d *daemon) purge(body string) (admin.PurgeReport, reply) {
	d.t.Helper()
	got := request("POST", d.admin+"/purge", strings.NewReader(body))
	var r admin.PurgeReport
	if err := json.Unmarshal(got.body, &r); err != nil {
		d.t.Fatalf("purge %s: %d %v %s", body, got.status, got.err, got.body)
	}
	return r, got
}

// shop are sources that a purge of shop/shoes must tell apart; by each kind of purge, those that go.
var (
	shop      = []string{"shop/shoes", "shop/shoes/red", "shop/shoestrings", "shopping/bag"}
	shopKinds = []struct {
		flag, value string
		gone        map[string]bool
	}{
		{"--source", "shop/shoes/red", map[string]bool{"shop/shoes/red": true}},
		{"--prefix", "shop/shoes", map[string]bool{"shop/shoes": true, "shop/shoes/red": true}},
		{"--prefix", "shop/shoes/", map[string]bool{"shop/shoes/red": true}},
		{"--tag", "shop/", map[string]bool{"shop/shoes": true, "shop/shoes/red": true, "shop/shoestrings": true}},
		{"--all", "", map[string]bool{"shop/shoes": true, "shop/shoes/red": true, "shop/shoestrings": true, "shopping/bag": true}},
	}
)

func flags(kind, value string, more ...string) []string {
	if value == "" {
		return append([]string{"purge", kind}, more...)
	}
	return append([]string{"purge", kind, value}, more...)
}

func (d *daemon) written() {
	d.t.Helper()
	eventually(d.t, 20*time.Second, "what waits is written", func() bool { return d.metric("deckle_backlog_bytes") == 0 })
}

// onDisk counts the variants of a source below a directory, whatever else is noted of it.
func onDisk(t *testing.T, data, source string) (n int) {
	t.Helper()
	name := cache.SourceName(source)
	found, err := filepath.Glob(filepath.Join(data, "variants", name[:2], name, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func TestPurgeAlone(t *testing.T) {
	data := t.TempDir()
	d := start(t, "--data", data)
	for _, id := range shop {
		d.upload(id, testimage.JPEG(testimage.Quadrants(80, 60), 90), false)
	}
	for _, kind := range shopKinds {
		for _, id := range shop {
			for _, size := range []string{"_20_15.webp", "_40_30.png"} {
				d.mustGet("/" + id + size)
			}
		}
		d.written()
		out, errs, code := execute(t, "", flags(kind.flag, kind.value, "--admin", d.admin)...)
		if code != 0 || errs != "" || !strings.Contains(out, "removed in") || !strings.Contains(out, "\nmemory: ") || !strings.Contains(out, "\ndisk: ") {
			t.Fatalf("purge %s %s: %d\n%s%s", kind.flag, kind.value, code, out, errs)
		}
		for _, id := range shop {
			if n := onDisk(t, data, id); (n == 0) != kind.gone[id] {
				t.Errorf("after purge %s %s %d files of %s are on disk", kind.flag, kind.value, n, id)
			}
			if kind.gone[id] {
				d.mustGet("/"+id+"_20_15.webp", "render")
			} else {
				d.mustGet("/"+id+"_20_15.webp", "memory")
			}
		}
	}
}

func TestSoftPurgeAlone(t *testing.T) {
	d := start(t, "--data", t.TempDir())
	d.upload("cat", testimage.JPEG(testimage.Quadrants(80, 60), 90), false)
	d.upload("dog", testimage.JPEG(testimage.Quadrants(80, 60), 90), false)
	const path = "/cat_20_15.webp"
	for _, kind := range [][]string{{"--source", "cat"}, {"--prefix", "cat"}, {"--tag", "cat"}, {"--all"}} {
		old := d.mustGet(path)
		d.mustGet("/dog_20_15.webp")
		d.written()
		before := d.metric("deckle_renders_total")
		out, errs, code := execute(t, "", append([]string{"purge", "--soft", "--admin", d.admin}, kind...)...)
		if code != 0 || !strings.Contains(out, "marked as out of date") {
			t.Fatalf("%d\n%s%s", code, out, errs)
		}
		stale := d.mustGet(path, "stale")
		if !bytes.Equal(stale.body, old.body) || strings.Contains(stale.header.Get("Cache-Control"), "3600") {
			t.Errorf("the answer from the old entry differs from it, or may be kept: %q", stale.header.Get("Cache-Control"))
		}
		awaitFresh(t, d, path)
		d.mustGet(path, "memory")
		if n := d.metric("deckle_renders_total") - before; n != 1 {
			t.Errorf("%v renders after %v, want 1", n, kind)
		}
		if kind[0] != "--all" {
			d.mustGet("/dog_20_15.webp", "memory")
		}
	}
	d.written()
	if _, _, code := execute(t, "", "purge", "--soft", "--all", "--admin", d.admin); code != 0 {
		t.Fatal(code)
	}
	d.kill()
	d.launch()
	d.mustGet(path, "stale") // the mark outlasts the process
	awaitFresh(t, d, path)
	d.written()
	d.stop()
	d.launch()
	d.mustGet(path, "disk")
}

func awaitFresh(t *testing.T, d *daemon, path string) {
	t.Helper()
	eventually(t, 20*time.Second, path+" is fresh", func() bool {
		return !strings.Contains(d.get(path).header.Get("Cache-Status"), "detail=stale")
	})
}

// pair is two nodes on one Redis and one S3 bucket, and a look into both.
type pair struct {
	a, b  *daemon
	redis *goredis.Client
	s3    *testserver.S3Server
	at    string // the directory of the variants' bucket
}

func newPair(t *testing.T) *pair {
	t.Helper()
	redis, s3 := testserver.Redis(t), testserver.S3(t)
	s3.SetCredentials(t)
	originals, variants := s3.Bucket(t), s3.Bucket(t)
	node := func() *daemon {
		return start(t, "--data", t.TempDir(), "--redis", redis.URL(), "--origin", s3.URL(originals), "--store", s3.URL(variants))
	}
	p := &pair{a: node(), b: node(), s3: s3, at: s3.Path(variants, "prefix"), redis: goredis.NewClient(&goredis.Options{Addr: redis.Addr})}
	t.Cleanup(func() { _ = p.redis.Close() })
	eventually(t, 20*time.Second, "both nodes are on the list", func() bool {
		return p.redis.ZCard(t.Context(), "deckle:nodes").Val() == 2
	})
	eventually(t, time.Minute, "the nodes hear each other", func() bool {
		r, _ := p.a.purge(`{"source": "nothing"}`)
		return r.Complete && len(r.Nodes) == 1
	})
	return p
}

// held lists what Redis and S3 have of a source, entries, indexes and all.
func (p *pair) held(t *testing.T, source string) (held []string) {
	t.Helper()
	keys, err := p.redis.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if strings.HasPrefix(key, "deckle:{"+source+"}") {
			held = append(held, "redis: "+key)
		}
	}
	folder := filepath.Join(p.at, strings.ReplaceAll(source, "/", "!"))
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !entry.IsDir() {
			held = append(held, "s3: "+path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func TestPurgeOfAFleet(t *testing.T) {
	p := newPair(t)
	shop := shop[1:] // the S3 server keeps objects as files, and has none that is a folder as well
	for _, id := range shop {
		p.a.upload(id, testimage.JPEG(testimage.Quadrants(80, 60), 90), false)
	}
	const size = "_20_15.webp"
	for _, kind := range shopKinds {
		for _, id := range shop {
			p.a.mustGet("/" + id + size)
			p.b.mustGet("/" + id + size)
			p.b.mustGet("/"+id+size, "memory")
		}
		p.a.written()
		p.b.written()
		for _, id := range shop {
			if held := fmt.Sprint(p.held(t, id)); !strings.Contains(held, "redis: ") || !strings.Contains(held, "s3: ") {
				t.Fatalf("before the purge Redis and S3 hold of %s: %s", id, held)
			}
		}
		out, errs, code := execute(t, "", flags(kind.flag, kind.value, "--admin", p.a.admin)...)
		if code != 0 || strings.Count(out, "memory: ") != 2 {
			t.Fatalf("purge %s %s: %d\n%s%s", kind.flag, kind.value, code, out, errs)
		}
		for _, id := range shop {
			held := p.held(t, id)
			if !kind.gone[id] {
				if len(held) < 2 {
					t.Errorf("after purge %s %s %s is gone too", kind.flag, kind.value, id)
				}
				p.b.mustGet("/"+id+size, "memory")
				continue
			}
			if len(held) > 0 {
				t.Errorf("after purge %s %s there is of %s: %s", kind.flag, kind.value, id, held)
			}
			p.b.mustGet("/"+id+size, "render")
			p.a.mustGet("/"+id+size, "redis", "s3", "fleet")
		}
	}
}

func TestSoftPurgeOfAFleet(t *testing.T) {
	p := newPair(t)
	p.a.upload("cat", testimage.JPEG(testimage.Quadrants(80, 60), 90), false)
	const path = "/cat_20_15.webp"
	p.a.mustGet(path, "render")
	p.b.mustGet(path)
	p.b.mustGet(path, "memory")
	p.a.written()
	if out, errs, code := execute(t, "", "purge", "--soft", "--prefix", "cat", "--admin", p.a.admin); code != 0 || !strings.Contains(out, ": told") {
		t.Fatalf("%d\n%s%s", code, out, errs)
	}
	p.b.mustGet(path, "stale")
	awaitFresh(t, p.b, path)
	p.b.written()
	awaitFresh(t, p.a, path)
	p.a.mustGet(path, "memory")
}

// TestPurgeIncomplete: what could not be reached is said, by status and exit code, and is gone after a second purge.
func TestPurgeIncomplete(t *testing.T) {
	p := newPair(t)
	p.a.upload("cat", testimage.JPEG(testimage.Quadrants(80, 60), 90), false)
	p.a.mustGet("/cat_20_15.webp", "render")
	p.a.written()
	p.s3.Stop()
	out, errs, code := execute(t, "", "purge", "--all", "--admin", p.a.admin)
	if code != 1 || !strings.Contains(out, "s3: 0 removed, failed: ") || !strings.Contains(errs, "not complete") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	r, got := p.a.purge(`{"all": true}`)
	if got.status != 502 || r.Complete || !strings.HasPrefix(got.header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("%d %s", got.status, got.body)
	}
	p.s3.Start()
	if r, got := p.a.purge(`{"all": true}`); got.status != 200 || !r.Complete || r.Removed == 0 {
		t.Errorf("after S3 is back: %d %s", got.status, got.body)
	}
	if held := p.held(t, "cat"); len(held) > 0 {
		t.Errorf("there is still %s", held)
	}
}

func TestPurgeUsage(t *testing.T) {
	for _, args := range [][]string{{"purge"}, {"purge", "--all", "--source", "cat"}, {"purge", "--all", "--admin", "::"}} {
		if _, _, code := execute(t, "", args...); code != exitUsage {
			t.Errorf("%v: exit code %d, want %d", args, code, exitUsage)
		}
	}
	d := start(t, "--data", t.TempDir(), "--api-keys", "secret")
	if _, errs, code := execute(t, "", "purge", "--all", "--admin", d.admin); code != exitFailed || !strings.Contains(errs, "A key or a token is needed") {
		t.Errorf("without a key: %d %s", code, errs)
	}
	if _, errs, code := execute(t, "", "purge", "--source", "../cat", "--admin", d.admin, "--api-key", "secret"); code != exitFailed || !strings.Contains(errs, "source") {
		t.Errorf("a bad id: %d %s", code, errs)
	}
	if out, errs, code := execute(t, "", "purge", "--all", "--admin", d.admin, "--api-key", "secret"); code != exitOK {
		t.Errorf("with a key: %d %s%s", code, out, errs)
	}
}
