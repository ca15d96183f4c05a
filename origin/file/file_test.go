package file_test

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"deckle/origin"
	"deckle/origin/file"
	"deckle/origin/origintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openStore opens a store in dir that ends with the test.
func openStore(t testing.TB, dir string) *file.Store {
	t.Helper()
	s, err := file.New(dir)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestLaws(t *testing.T) {
	open := func(t *testing.T) origin.Store { return openStore(t, t.TempDir()) }
	origintest.RunStore(t, open)
	origintest.RunNesting(t, open)
}

// twoProcesses writes through one store and reads through another on the same directory.
type twoProcesses struct {
	origin.Writer
	origin.Reader
}

func TestTwoProcesses(t *testing.T) {
	origintest.RunNesting(t, func(t *testing.T) origin.Store {
		dir := t.TempDir()
		return twoProcesses{openStore(t, dir), openStore(t, dir)}
	})
}

// TestNothingTouched holds the tree against a list of what it should have.
func TestNothingTouched(t *testing.T) {
	base := t.TempDir()
	write(t, filepath.Join(base, "dog"), "outside")
	s := openStore(t, filepath.Join(base, "a", "store"))
	commit(t, s, "cat", "cat")
	before := tree(t, base)
	for _, id := range origintest.HostileIDs() {
		staged, err := s.Stage(t.Context())
		if err != nil {
			t.Fatalf("Stage: %v", err)
		}
		if _, err := staged.Commit(t.Context(), id, true); !errors.Is(err, origin.ErrBadID) {
			t.Errorf("Commit(%q): %v", id, err)
		}
		if err := staged.Abort(); err != nil {
			t.Errorf("Abort: %v", err)
		}
		if err := s.Delete(t.Context(), id); !errors.Is(err, origin.ErrBadID) {
			t.Errorf("Delete(%q): %v", id, err)
		}
	}
	if diff := cmp.Diff(before, tree(t, base)); diff != "" {
		t.Errorf("hostile ids changed the disk (-before +after):\n%s", diff)
	}
}

func TestLayout(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	for _, id := range []string{"x", "x/y", "z/w", "z", "gone/deep/down", "gone/stays"} {
		commit(t, s, id, id)
	}
	if err := s.Delete(t.Context(), "gone/deep/down"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	want := map[string]string{
		".": "drwxr-xr-x", ".tmp": "drwx------", ".tmp/lock": "-rw-------",
		"x": "drwxr-xr-x", "x/.original": "-rw-r--r-- x", "x/y": "-rw-r--r-- x/y",
		"z": "drwxr-xr-x", "z/.original": "-rw-r--r-- z", "z/w": "-rw-r--r-- z/w",
		"gone": "drwxr-xr-x", "gone/stays": "-rw-r--r-- gone/stays",
	}
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestDroppedInByHand(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "album", "cat.jpg"), "by hand")
	s := openStore(t, dir)
	first, err := s.Stat(t.Context(), "album/cat.jpg")
	if err != nil || first.Size != 7 {
		t.Fatalf("Stat = %+v, %v", first, err)
	}
	// The same size and modification time, as a copy tool may leave them.
	path := filepath.Join(dir, "album", "cat.jpg")
	stat, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	replacement := filepath.Join(dir, "other")
	write(t, replacement, "BY HAND")
	if err := os.Chtimes(replacement, stat.ModTime(), stat.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(replacement, path); err != nil {
		t.Fatal(err)
	}
	if second, err := s.Stat(t.Context(), "album/cat.jpg"); err != nil || second.Version == first.Version {
		t.Errorf("after a swap by hand: %+v, %v; before %+v", second, err, first)
	}
}

// TestOverwrittenInPlace keeps the inode, the size and the modification time, as a synchronising tool may.
func TestOverwrittenInPlace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cat.jpg")
	write(t, path, "by hand")
	s := openStore(t, dir)
	first, err := s.Stat(t.Context(), "cat.jpg")
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	// The kernel's clock may stand still for a few milliseconds.
	for changed := before; changed.Sys().(*syscall.Stat_t).Ctim == before.Sys().(*syscall.Stat_t).Ctim; {
		write(t, path, "BY HAND")
		if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
			t.Fatal(err)
		}
		if changed, err = os.Stat(path); err != nil {
			t.Fatal(err)
		}
	}
	second, err := s.Stat(t.Context(), "cat.jpg")
	if err != nil || second.Version == first.Version || second.Size != first.Size || second.Modified != first.Modified {
		t.Errorf("after a change in place: %+v, %v; before %+v", second, err, first)
	}
}

// TestOnlyRegularFiles makes everything else that a directory can hold.
func TestOnlyRegularFiles(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "store")
	s := openStore(t, dir)
	write(t, filepath.Join(base, "secret"), "secret")
	write(t, filepath.Join(base, "secrets", "one"), "secret")
	commit(t, s, "cat", "cat")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	links := map[string]string{
		"relative": "../secret", "absolute": filepath.Join(base, "secret"), "loop": "loop", "dangling": "nothing",
		"folder": "../secrets", "within": "cat", "device": "/dev/zero", "up": "..",
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"pipe", "socket", "relative", "absolute", "loop", "dangling", "folder/one", "folder", "device", "up/secret"} {
		if info, err := s.Stat(t.Context(), id); !errors.Is(err, origin.ErrNotFound) {
			t.Errorf("Stat(%q) = %+v, %v; want ErrNotFound", id, info, err)
		}
		if err := s.Delete(t.Context(), id); !errors.Is(err, origin.ErrNotFound) {
			t.Errorf("Delete(%q): %v, want ErrNotFound", id, err)
		}
	}
	if _, err := s.Stat(t.Context(), "within"); err != nil {
		t.Errorf("Stat of a link within the store: %v", err)
	}
	for _, id := range []string{"folder/two", "up/two"} {
		staged, err := s.Stage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := staged.Commit(t.Context(), id, true); err == nil {
			t.Errorf("Commit(%q) through a link that leads out: no error", id)
		}
		if err := staged.Abort(); err != nil {
			t.Errorf("Abort: %v", err)
		}
	}
	for _, path := range []string{"secret", "secrets/one"} {
		if got, err := os.ReadFile(filepath.Join(base, path)); err != nil || string(got) != "secret" {
			t.Errorf("%s = %q, %v", path, got, err)
		}
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	young, old, oldDir := filepath.Join(dir, ".tmp", "young"), filepath.Join(dir, ".tmp", "old"), filepath.Join(dir, ".tmp", "dir")
	write(t, young, "a")
	write(t, old, "b")
	write(t, filepath.Join(oldDir, ".original"), "c")
	for path, age := range map[string]time.Duration{young: 59 * time.Minute, old: 61 * time.Minute, oldDir: 61 * time.Minute} {
		when := time.Now().Add(-age)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	openStore(t, dir)
	want := map[string]string{".": "drwxr-xr-x", ".tmp": "drwxr-xr-x", ".tmp/lock": "-rw-------", ".tmp/young": "-rw-r--r-- a"}
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Errorf("after New (-want +got):\n%s", diff)
	}
}

// TestCutShort shortens a file under its reader.
func TestCutShort(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	commit(t, s, "cat", strings.Repeat("x", 100_000))
	object, err := s.Open(t.Context(), "cat", origin.Range{Offset: 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "cat"), 50_000); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(object.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 49_990 {
		t.Errorf("reading a file cut short: %d bytes, %v; want 49,990 and io.ErrUnexpectedEOF", len(got), err)
	}
	if err := object.Body.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestClosed(t *testing.T) {
	s, err := file.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if _, err := s.Stat(t.Context(), "cat"); !errors.Is(err, origin.ErrUnavailable) {
		t.Errorf("Stat after Close: %v, want ErrUnavailable", err)
	}
	if _, err := s.Stage(t.Context()); !errors.Is(err, origin.ErrUnavailable) {
		t.Errorf("Stage after Close: %v, want ErrUnavailable", err)
	}
	if _, err := file.New(filepath.Join(t.TempDir(), "x\x00")); err == nil {
		t.Error("New of an impossible directory: no error")
	}
}

func commit(t *testing.T, s *file.Store, id, body string) {
	t.Helper()
	staged, err := s.Stage(t.Context())
	if err != nil {
		t.Fatalf("Stage: %v", err)
	}
	if _, err := io.WriteString(staged, body); err != nil {
		t.Fatalf("Write: %v", err)
	}
	if _, err := staged.Commit(t.Context(), id, false); err != nil {
		t.Fatalf("Commit(%q): %v", id, err)
	}
}

func write(t *testing.T, path, body string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree lists what is below dir: modes, and contents of regular files.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		found[name] = info.Mode().String()
		if info.Mode().IsRegular() && info.Size() > 0 {
			body, err := os.ReadFile(path)
			found[name] += " " + string(body)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func BenchmarkStat(b *testing.B) {
	s := openStore(b, b.TempDir())
	staged, err := s.Stage(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := staged.Commit(b.Context(), "products/6e0/cat", false); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Stat(b.Context(), "products/6e0/cat"); err != nil {
			b.Fatal(err)
		}
	}
}
