package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"deckle/cache"
	"deckle/cache/cachetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string, limit int64) *Tier {
	t.Helper()
	tier, err := New(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tier.Close() }) // a second time where the test closed it
	return tier
}

// damaged is a tier whose stored bytes the laws can change.
type damaged struct{ *Tier }

func (d damaged) Damage(t testing.TB, k cache.Key, change func([]byte) []byte) {
	t.Helper()
	data, err := d.root.ReadFile(file(k))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.root.WriteFile(file(k), change(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLaws(t *testing.T) {
	t.Run("roomy", func(t *testing.T) {
		cachetest.Run(t, func(t *testing.T) cache.Tier { return damaged{open(t, t.TempDir(), 1<<30)} })
	})
	t.Run("narrow", func(t *testing.T) {
		cachetest.Run(t, func(t *testing.T) cache.Tier { return damaged{open(t, t.TempDir(), 4<<20)} })
	})
}

func nth(i int) cache.Key {
	return cache.Key{Source: fmt.Sprint("source", i%5), Version: "v", Variant: fmt.Sprint(i)}
}

func set(t testing.TB, tier *Tier, k cache.Key, size int) {
	t.Helper()
	if err := tier.Set(context.Background(), k, cachetest.Entry(k.Variant, size)); err != nil {
		t.Fatal(err)
	}
}

func held(tier *Tier, k cache.Key) bool {
	_, err := tier.Get(context.Background(), k)
	return err == nil
}

// awaitSweeps returns when more than n sweeps have finished.
func awaitSweeps(t *testing.T, tier *Tier, n uint64) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(10 * time.Second); tier.Stats().Sweeps <= n; <-poll.C {
		if time.Now().After(deadline) {
			t.Fatal("no sweep within ten seconds")
		}
	}
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	tier := open(t, dir, 1<<30)
	awaitSweeps(t, tier, 0)
	for i := range 20 {
		set(t, tier, nth(i), 10_000)
	}
	bytes := tier.Stats().Bytes
	if err := tier.Close(); err != nil {
		t.Fatal(err)
	}
	if held(tier, nth(1)) {
		t.Error("a closed tier answers")
	}

	tier = open(t, dir, 1<<30)
	for i := range 20 {
		e, err := tier.Get(t.Context(), nth(i))
		if err != nil {
			t.Fatalf("entry %d after a restart: %v", i, err)
		}
		if want := cachetest.Entry(nth(i).Variant, 10_000); string(e.Body) != string(want.Body) {
			t.Errorf("entry %d has other bytes after a restart", i)
		}
	}
	awaitSweeps(t, tier, 0)
	if got := tier.Stats().Bytes; got != bytes {
		t.Errorf("counted %d bytes after a restart, %d before", got, bytes)
	}
}

func TestUsedBytesAreCounted(t *testing.T) {
	tier := open(t, t.TempDir(), 1<<30)
	awaitSweeps(t, tier, 0)
	steps := []struct {
		name string
		do   func()
		want int64
	}{
		{"nothing", func() {}, 0},
		{"one", func() { set(t, tier, nth(0), 100) }, block},
		{"replaced by a larger one", func() { set(t, tier, nth(0), 10_000) }, 3 * block},
		{"another of the source", func() { set(t, tier, nth(5), block) }, 5 * block},
		{"another source", func() { set(t, tier, nth(1), 1) }, 6 * block},
		{"purged", func() { _ = tier.Purge(t.Context(), nth(0).Source) }, block},
		{"damaged", func() {
			_ = tier.root.WriteFile(file(nth(1)), []byte("x"), 0o600)
			_ = held(tier, nth(1))
		}, 0},
	}
	for _, step := range steps {
		step.do()
		if got := tier.Stats().Bytes; got != step.want {
			t.Errorf("%s: %d bytes used, want %d", step.name, got, step.want)
		}
	}
}

// TestSweepRemovesTheLeastRecentlyUsed ages entries by setting their times, as hours would.
func TestSweepRemovesTheLeastRecentlyUsed(t *testing.T) {
	const limit, size = 1 << 20, 7 * block
	tier := open(t, t.TempDir(), limit)
	awaitSweeps(t, tier, 0)
	now := time.Now()
	for i := range 30 { // 80 % of the limit
		set(t, tier, nth(i), size-1000)
		age := time.Duration(48-i) * time.Hour
		if err := tier.root.Chtimes(file(nth(i)), now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if !held(tier, nth(0)) { // the oldest, used now
		t.Fatal("entry 0 is not held")
	}
	swept := tier.Stats().Sweeps
	for i := 30; tier.Stats().Bytes+size <= tier.sweepAbove(); i++ {
		set(t, tier, nth(i), size-1000)
	}
	if tier.Stats().Sweeps != swept {
		t.Fatal("swept too early")
	}
	set(t, tier, nth(100), size-1000)
	awaitSweeps(t, tier, swept)
	if used := tier.Stats().Bytes; used > limit/100*sweepTo || used < limit/100*sweepTo-size {
		t.Errorf("%d bytes used after the sweep, want %d at most and little less", used, limit/100*sweepTo)
	}
	for i, want := range map[int]bool{0: true, 1: false, 2: false, 29: true, 30: true, 100: true} {
		if held(tier, nth(i)) != want {
			t.Errorf("entry %d held: %v, want %v", i, !want, want)
		}
	}
}

func TestLimitIsNeverPassed(t *testing.T) {
	const limit = 1 << 20
	dir := t.TempDir()
	tier := open(t, dir, limit)
	awaitSweeps(t, tier, 0)
	refused := 0
	for i := range 400 {
		err := tier.Set(t.Context(), nth(i), cachetest.Entry("x", 50_000))
		if errors.Is(err, ErrFull) {
			refused++
			awaitSweeps(t, tier, tier.Stats().Sweeps)
		} else if err != nil {
			t.Fatal(err)
		}
		if used := diskUse(t, dir); used > limit {
			t.Fatalf("after %d entries %d bytes are on disk, the limit is %d", i, used, limit)
		}
	}
	if refused > 200 {
		t.Errorf("%d of 400 writes refused", refused)
	}
}

func diskUse(t *testing.T, dir string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if errors.Is(err, fs.ErrNotExist) { // swept meanwhile
				return nil
			}
			return err
		}
		if info, err := entry.Info(); err == nil {
			sum += onDisk(info.Size())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestSizeCap(t *testing.T) {
	tier := open(t, t.TempDir(), 1<<20)
	for _, size := range []int{1 << 20 / 10, 1 << 20, 2 << 20} {
		if err := tier.Set(t.Context(), nth(0), cachetest.Entry("x", size)); !errors.Is(err, cache.ErrTooLarge) {
			t.Errorf("Set of %d bytes = %v, want ErrTooLarge", size, err)
		}
	}
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	source := folder("source0")
	foreign := []string{"notes.txt", "aa/notes.txt", "aa/" + strings.Repeat("b", 32) + "/x", source + "/notes.txt", source + "/UPPER"}
	for _, name := range foreign {
		writeFile(t, filepath.Join(dir, name), strings.Repeat("x", 100_000))
	}
	litter := filepath.Join(dir, tempDir, "half-written")
	writeFile(t, litter, "x")
	tier := open(t, dir, 200_000)
	awaitSweeps(t, tier, 0)
	if used := tier.Stats().Bytes; used != 0 {
		t.Errorf("%d bytes of foreign files are counted", used)
	}
	if _, err := os.Stat(litter); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a crash left is still there: %v", err)
	}
	set(t, tier, nth(0), 100)
	if err := tier.Purge(t.Context(), nth(0).Source); err != nil {
		t.Fatal(err)
	}
	tier.used.settle(-190_000, false) // as if full
	tier.sweep(t.Context())
	for _, name := range foreign {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("foreign file: %v", err)
		}
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNeverLeavesItsDirectory(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	k := nth(0)
	writeFile(t, filepath.Join(outside, cache.SourceName(k.Source), cache.VariantName(k)), "precious")
	if err := os.Symlink(outside, filepath.Join(dir, cache.SourceName(k.Source)[:2])); err != nil {
		t.Fatal(err)
	}
	tier := open(t, dir, 1<<20)
	if _, err := tier.Get(t.Context(), k); err == nil || errors.Is(err, cache.ErrCorrupt) {
		t.Errorf("Get through a link = %v, want a fault", err)
	}
	if err := tier.Set(t.Context(), k, cachetest.Entry("x", 10)); err == nil {
		t.Error("Set through a link = nil error")
	}
	_ = tier.Purge(t.Context(), k.Source) // may fail or not: what counts is what is left
	tier.sweep(t.Context())
	content, err := os.ReadFile(filepath.Join(outside, cache.SourceName(k.Source), cache.VariantName(k)))
	if err != nil || string(content) != "precious" {
		t.Errorf("the file outside: %q, %v", content, err)
	}
}

// TestFullDisk has the file system refuse after some bytes.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	tier := open(t, dir, 1<<20)
	awaitSweeps(t, tier, 0)
	set(t, tier, nth(0), 1000)
	tier.write = func(f *os.File, data []byte) error {
		_, _ = f.Write(data[:len(data)/2])
		return syscall.ENOSPC
	}
	for range 3 {
		if err := tier.Set(t.Context(), nth(0), cachetest.Entry("new", 2000)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Set = %v, want ENOSPC", err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, tempDir)); err != nil || len(left) > 0 {
		t.Errorf("%d half-written files left, %v", len(left), err)
	}
	if used := tier.Stats().Bytes; used != block {
		t.Errorf("%d bytes used, want %d", used, block)
	}
	e, err := tier.Get(t.Context(), nth(0))
	if err != nil {
		t.Fatalf("the entry that was there: %v", err)
	}
	if want := cachetest.Entry(nth(0).Variant, 1000); string(e.Body) != string(want.Body) {
		t.Error("the entry that was there has other bytes")
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(t.TempDir(), 0); err == nil {
		t.Error("New without room = nil error")
	}
	taken := filepath.Join(t.TempDir(), "file")
	writeFile(t, taken, "x")
	if _, err := New(taken, 1<<20); err == nil {
		t.Error("New on a file = nil error")
	}
}

func BenchmarkGet(b *testing.B) {
	tier := open(b, b.TempDir(), 1<<30)
	set(b, tier, nth(0), 16<<10)
	b.ReportAllocs()
	for b.Loop() {
		if !held(tier, nth(0)) {
			b.Fatal("miss")
		}
	}
}
