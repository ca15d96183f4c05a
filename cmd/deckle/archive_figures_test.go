package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dustin/go-humanize"
)

// figures are what the long form measures.
type figures struct {
	t        *testing.T
	name     string
	pictures int
	rows     []string
}

func newFigures(t *testing.T, name string, pictures int) *figures {
	return &figures{t: t, name: name, pictures: pictures}
}

// measure notes how long something takes, and how much memory the server had at most meanwhile. Peaks are of the process: its
// renderers have nothing to do.
func (f *figures) measure(what string, d *daemon, do func()) {
	f.t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(d.command.Process.Pid))
	before := residentPeak(f.t, proc, "VmRSS")
	if err := os.WriteFile(filepath.Join(proc, "clear_refs"), []byte("5"), 0); err != nil { // proc(5): resets the peak
		f.t.Fatal(err)
	}
	begin := time.Now()
	do()
	took := time.Since(begin)
	f.rows = append(f.rows, fmt.Sprintf("| %s | %s | %.1f s | %.0f | %s | %s |", f.name, what, took.Seconds(),
		float64(f.pictures)/took.Seconds(), humanize.IBytes(before), humanize.IBytes(residentPeak(f.t, proc, "VmHWM"))))
}

func residentPeak(t *testing.T, proc, field string) uint64 {
	t.Helper()
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("no %s", field)
	}
	kib, err := strconv.ParseUint(string(found[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

func (f *figures) size(file string) {
	f.t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		f.t.Fatal(err)
	}
	f.rows = append(f.rows, fmt.Sprintf("| %s | size of the archive | | | | %s |", f.name, humanize.IBytes(uint64(info.Size()))))
}

const figuresHead = `# Export and import

%d pictures of 8x8 pixels with name, tags, owner, privacy and data, taken out of one Deckle and brought into an empty one, by

    DECKLE_ARCHIVE_PICTURES=%d go test -run 'TestArchive$' -v ./cmd/deckle

on %d processors, %s. Every record was compared, and every picture's bytes by their SHA-256. Memory is that of the server, with the
binding of libvips and everything else in it; its renderers are processes of their own.

| library | what | time | pictures a second | resident before | peak |
|---|---|---|---|---|---|
`

// write adds the rows to bench/results/archive.md; the first library begins it anew.
func (f *figures) write() {
	f.t.Helper()
	const path = "../../bench/results/archive.md"
	text := fmt.Sprintf(figuresHead, f.pictures, f.pictures-1, runtime.NumCPU(), time.Now().UTC().Format(time.DateOnly))
	if f.name != libraries[0].name {
		former, err := os.ReadFile(path)
		if err != nil {
			f.t.Fatal(err)
		}
		text = string(former)
	}
	if err := os.WriteFile(path, []byte(text+strings.Join(f.rows, "\n")+"\n"), 0o644); err != nil {
		f.t.Fatal(err)
	}
}
