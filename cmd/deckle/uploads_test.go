package main

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deckle/internal/testimage"
)

// uploadFigures in the environment has the tests below take the sizes that bench/results/uploads.md shows.
const uploadFigures = "DECKLE_UPLOAD_FIGURES"

// hugePNG writes a valid PNG of side x side black pixels, whose data are not compressed: three bytes a pixel, while it is read.
func hugePNG(side int) io.Reader {
	from, to := io.Pipe()
	go func() {
		chunk := func(kind string, data []byte) {
			head := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
			sum := crc32.Update(crc32.ChecksumIEEE([]byte(kind)), crc32.IEEETable, data)
			for _, part := range [][]byte{append(head, kind...), data, binary.BigEndian.AppendUint32(nil, sum)} {
				_, _ = to.Write(part) // fails when the reader has left
			}
		}
		_, _ = to.Write([]byte("\x89PNG\r\n\x1a\n"))
		size := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(side)), uint32(side))
		chunk("IHDR", append(size, 8, 2, 0, 0, 0)) // eight bits of red, green and blue
		packed := writer(func(p []byte) { chunk("IDAT", p) })
		rows, _ := zlib.NewWriterLevel(packed, zlib.NoCompression)
		row := make([]byte, 1+3*side)
		for range side {
			_, _ = rows.Write(row)
		}
		_ = rows.Close()
		chunk("IEND", nil)
		_ = to.Close()
	}()
	return from
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

// anonymous returns the memory of the process that serves which is no page of a file, bytes. A staged upload is mapped to be
// looked at: the kernel takes such pages back when it needs them.
func (d *daemon) anonymous() int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.command.Process.Pid))
	for line := range strings.Lines(string(text)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10
		}
	}
	return 0
}

// TestHugeUpload: memory does not grow with a file, whichever way it comes in.
func TestHugeUpload(t *testing.T) {
	side, bound := 4700, 16.0 // 66 MB
	if os.Getenv(uploadFigures) != "" {
		side = 13000 // 507 MB
	}
	for _, store := range stores {
		t.Run(store.name, func(t *testing.T) {
			d := start(t, append(store.flags(t), "--data", t.TempDir(), "--max-source-bytes", "600MiB", "--max-source-pixels", "200000000")...)
			warm := d.grants(`{"grants": [{}]}`, 200)[0]
			if got := d.use(warm.Put, testimage.PNG(testimage.Quadrants(64, 64))); got.status != 201 {
				t.Fatalf("%d %s", got.status, got.body)
			}
			g := d.grants(`{"grants": [{"id": "huge"}]}`, 200)[0]
			begin := time.Now()
			before, stop := d.anonymous(), d.growth()
			ended := make(chan struct{})
			var got reply
			go func() {
				defer close(ended)
				got = request("PUT", d.edge+"/huge", hugePNG(side), "X-Token", g.Token)
			}()
			most := before
			for under := true; under; {
				select {
				case <-ended:
					under = false
				case <-time.After(10 * time.Millisecond):
				}
				most = max(most, d.anonymous())
			}
			took, mapped, grew := time.Since(begin), float64(stop())/(1<<20), float64(most-before)/(1<<20)
			if got.status != 201 || got.err != nil {
				t.Fatalf("%d %v %s", got.status, got.err, got.body)
			}
			said := into[receipt](t, got)
			t.Logf("%s: %d MB in %.1f s, %.0f MB/s; memory grew by %.1f MiB (by %.1f with the pages of mapped files)", store.name, said.Bytes/1e6, took.Seconds(), float64(said.Bytes)/1e6/took.Seconds(), grew, mapped)
			if said.OriginalWidth != side || said.Bytes < int64(3*side*side) {
				t.Errorf("receipt %s", got.body)
			}
			if before == 0 || grew > bound {
				t.Errorf("memory grew by %.1f MiB from %d, more than %.0f", grew, before, bound)
			}
		})
	}
}

// TestUploadsBesideHits: fifty clients upload at once, and come again when they are told to; every one gets its picture in, and
// hits go on meanwhile.
func TestUploadsBesideHits(t *testing.T) {
	const clients = 50
	width, height := 800, 600
	if os.Getenv(uploadFigures) != "" {
		width, height = 4000, 3000
	}
	picture := testimage.JPEG(testimage.Photo(width, height, 7), 90)
	d := start(t, "--data", t.TempDir(), "--access-log", "errors")
	d.upload("cat", testimage.JPEG(testimage.Photo(900, 600, 8), 85), false)
	d.mustGet("/cat_300_200.webp")
	given := d.grants(`{"grants": [`+string(bytes.Repeat([]byte("{},"), clients-1))+`{}]}`, 200)

	stop := d.hits("/cat_300_200.webp")
	<-time.After(3 * time.Second) // how it is without uploads
	idle, badIdle, p99Idle := stop()
	stop = d.hits("/cat_300_200.webp")
	begin := time.Now()
	var busy atomic.Int64
	var all sync.WaitGroup
	for _, g := range given {
		all.Go(func() {
			got := d.use(g.Put, picture)
			for ; got.status == http.StatusServiceUnavailable; got = d.use(g.Put, picture) { // as many as allowed are under way
				busy.Add(1)
				<-time.After(100 * time.Millisecond)
			}
			if got.status != http.StatusCreated {
				t.Errorf("upload: %d %v %s", got.status, got.err, got.body)
			}
		})
	}
	all.Wait()
	took := time.Since(begin)
	good, bad, p99 := stop()
	megabytes := float64(len(picture)) / 1e6
	t.Logf("%d uploads of %.1f MB in %.1f s (%.0f MB/s), %d answers of 503; p99 of hits %s idle (%d), %s meanwhile (%d)",
		clients, megabytes, took.Seconds(), clients*megabytes/took.Seconds(), busy.Load(), p99Idle, idle, p99, good)
	if bad+badIdle > 0 {
		t.Errorf("%d hits failed", bad+badIdle)
	}
	if d.metric("deckle_renders_total") > 2 {
		t.Error("hits were rendered")
	}
}
