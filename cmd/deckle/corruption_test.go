package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"

	goredis "github.com/redis/go-redis/v9"
)

// vault is the place where a tier keeps entries, reached behind its back.
type vault struct {
	tier  string
	args  []string // that make a server use it
	reset func()   // empties the tiers below, so that only this one can answer
	names func() []string
	read  func(name string) []byte // nil for one that is not there
	write func(name string, data []byte)
}

// files returns a vault whose entries are files below a directory.
func files(t *testing.T, tier, dir string, args ...string) vault {
	return vault{
		tier: tier, args: args, reset: func() {},
		names: func() (names []string) {
			err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.Type().IsRegular() {
					names = append(names, path)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
			return names
		},
		read: func(name string) []byte {
			data, err := os.ReadFile(name)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
			return data
		},
		write: func(name string, data []byte) {
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Error(err)
			}
		},
	}
}

func diskVault(t *testing.T) vault {
	data := t.TempDir()
	return files(t, "disk", filepath.Join(data, "variants"), "--data", data)
}

func s3Vault(t *testing.T) vault {
	server := testserver.S3(t)
	server.SetCredentials(t)
	bucket := server.Bucket(t)
	return files(t, "s3", server.Path(bucket, ""), "--data", t.TempDir(), "--store", server.URL(bucket))
}

func redisVault(t *testing.T) vault {
	data, server := t.TempDir(), testserver.Redis(t)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = client.Close() }) // nothing is lost with it
	return vault{
		tier: "redis", args: []string{"--data", data, "--redis", server.URL()},
		reset: func() {
			if err := os.RemoveAll(filepath.Join(data, "variants")); err != nil {
				t.Error(err)
			}
		},
		names: func() (names []string) {
			names, err := client.Keys(t.Context(), "deckle:{*}:????????????????????????????????").Result()
			if err != nil {
				t.Error(err)
			}
			return names
		},
		read: func(name string) []byte {
			data, err := client.Get(t.Context(), name).Bytes()
			if err != nil && !errors.Is(err, goredis.Nil) {
				t.Error(err)
			}
			return data
		},
		write: func(name string, data []byte) {
			if err := client.Set(t.Context(), name, data, goredis.KeepTTL).Err(); err != nil {
				t.Error(err)
			}
		},
	}
}

// damages are what happens to stored bytes; i tells one entry from another.
var damages = []struct {
	name string
	do   func(i int, data, other []byte) []byte
}{
	{"cut in half", func(_ int, data, _ []byte) []byte { return data[:len(data)/2] }},
	{"cut by a byte", func(_ int, data, _ []byte) []byte { return data[:len(data)-1] }},
	{"zeroed", func(_ int, data, _ []byte) []byte { return make([]byte, len(data)) }},
	{"zeroed from the middle", func(_ int, data, _ []byte) []byte { clear(data[len(data)/2:]); return data }},
	{"one bit flipped", func(i int, data, _ []byte) []byte { data[i*7919%len(data)] ^= 1 << (i % 8); return data }},
	{"eight bits flipped", func(i int, data, _ []byte) []byte {
		for n := range 8 {
			data[(i*7919+n*104729)%len(data)] ^= 1 << n
		}
		return data
	}},
	{"emptied", func(int, []byte, []byte) []byte { return nil }},
	{"swapped", func(_ int, _, other []byte) []byte { return other }},
	{"foreign", func(int, []byte, []byte) []byte { return []byte("<html>It works!</html>") }},
	{"of another layout", func(_ int, data, _ []byte) []byte { data[3]++; return data }},
}

// TestCorruption damages a hundred entries in each tier. No bad byte is served, each is counted, and each is whole again
// afterwards.
func TestCorruption(t *testing.T) {
	for _, open := range []func(*testing.T) vault{diskVault, redisVault, s3Vault} {
		v := open(t)
		t.Run(v.tier, func(t *testing.T) { checkHealing(t, v) })
	}
}

const entries = 100

func checkHealing(t *testing.T, v vault) {
	d := start(t, v.args...)
	d.upload("cat", testimage.JPEG(testimage.Photo(240, 180, 1), 80), false)
	want := make([][]byte, entries)
	for i := range want {
		want[i] = d.mustGet(variant(i)).body
	}
	d.settle()
	d.kill()
	v.reset()
	// What is noted of the source beside them (proxy.LastKnown) is no picture.
	names := slices.DeleteFunc(v.names(), func(name string) bool { return bytes.Contains(v.read(name), []byte("catlastknown")) })
	if len(names) != entries {
		t.Fatalf("%d entries are stored, want %d", len(names), entries)
	}
	stored := make([][]byte, entries)
	for i, name := range names {
		stored[i] = v.read(name)
	}
	for i, name := range names {
		v.write(name, damages[i%len(damages)].do(i, bytes.Clone(stored[i]), stored[(i+1)%entries]))
	}
	d.launch()
	bad := 0
	for i := range want {
		if got := d.mustGet(variant(i), "render", "fleet"); !bytes.Equal(got.body, want[i]) {
			bad++
		}
	}
	// Each damage is a failed get; one that failed for another reason, as by its deadline on a loaded machine, saw none.
	counted, failed := d.metric("deckle_tier_corrupt_total", `tier="`+v.tier+`"`), d.metric("deckle_tier_errors_total", `tier="`+v.tier+`"`, `op="get"`)
	if bad > 0 || failed < entries || counted < entries-5 {
		t.Errorf("%d bad answers, %v entries counted as corrupt, %v gets failed; want 0 and %d", bad, counted, failed, entries)
	}
	d.settle()
	d.kill()
	v.reset()
	d.launch()
	healed := 0
	for i := range want {
		if got := d.mustGet(variant(i), v.tier); bytes.Equal(got.body, want[i]) {
			healed++
		}
	}
	if renders := d.metric("deckle_renders_total"); healed != entries || renders != 0 {
		t.Errorf("%d of %d entries healed, %v rendered again", healed, entries, renders)
	}
}

func variant(i int) string { return fmt.Sprintf("/cat_%d_%d.jpg", 20+i, 40) }

// settle waits until everything is written behind the answers.
func (d *daemon) settle() {
	d.t.Helper()
	eventually(d.t, 20*time.Second, "the backlog is written", func() bool { return d.metric("deckle_backlog_bytes") == 0 })
}

// cutter is an upstream that sends no more than so many bytes of a picture.
type cutter struct {
	picture []byte
	cut     atomic.Int64 // bytes; as many as there are, or more, for all
	way     atomic.Value // string
}

func (c *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"same"`)
	cut := min(int(c.cut.Load()), len(c.picture))
	whole := cut == len(c.picture)
	way := c.way.Load().(string)
	if r.Method == http.MethodHead || way == "length" || whole {
		w.Header().Set("Content-Length", strconv.Itoa(len(c.picture)))
	} else if way == "short" {
		w.Header().Set("Content-Length", strconv.Itoa(cut))
	}
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(c.picture[:cut]) // the client may have left
	if !whole && way != "short" {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// TestTruncatedSources has an upstream break off its answers at many places: with the length of the whole, in chunks, and as
// if the part were the whole, which only an earlier answer of the same ETag gives away. No
// picture comes of that, and nothing is stored; once it answers whole, so does Deckle.
func TestTruncatedSources(t *testing.T) {
	upstream := &cutter{picture: testimage.JPEG(testimage.Photo(160, 120, 1), 60)}
	server := httptest.NewUnstartedServer(upstream)
	server.Config.ErrorLog = nil
	server.Start()
	defer server.Close()
	data := t.TempDir()
	d := start(t, "--data", data, "--origin", server.URL+"/", "--allow-upstream", "127.0.0.0/8", "--access-log", "errors")
	offsets := 25
	if os.Getenv(faultsLong) != "" {
		offsets = 1000
	}
	tried := 0
	for _, way := range []string{"length", "chunked", "short"} {
		upstream.way.Store(way)
		for i := range offsets {
			cut := i * (len(upstream.picture) - 1) / max(1, offsets-1)
			upstream.cut.Store(int64(cut))
			path := fmt.Sprintf("/%s-%d_50_50.png", way, i)
			if got := d.get(path); got.status < 400 {
				t.Errorf("%s cut after %d of %d bytes: %d", way, cut, len(upstream.picture), got.status)
			}
			tried++
		}
	}
	d.settle()
	if left := picturesIn(t, filepath.Join(data, "variants")); left != 0 {
		t.Errorf("%d entries were stored of %d truncated sources", left, tried)
	}
	upstream.cut.Store(1 << 30)
	reference := d.mustGet("/whole_50_50.png", "render").body
	eventually(t, 30*time.Second, "what failed is tried again", func() bool {
		got := d.get("/length-1_50_50.png")
		return got.status == 200 && bytes.Equal(got.body, reference)
	})
	t.Logf("%d truncated sources, none stored", tried)
}

// picturesIn counts the entries below a directory that hold pictures; there may be notes about sources beside them.
func picturesIn(t *testing.T, dir string) (count int) {
	disk := files(t, "disk", dir)
	for _, name := range disk.names() {
		if bytes.Contains(disk.read(name), []byte("image/png")) {
			count++
		}
	}
	return count
}
