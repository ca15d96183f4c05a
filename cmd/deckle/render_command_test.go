package main

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/internal/testimage"
	"deckle/transform"
)

// folderOf writes files below a new folder.
func folderOf(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// filesIn reads all files below a folder, hidden ones too.
func filesIn(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestRenderFolder: a folder in bulk, into another; what is there is skipped the next time, unless its source is newer; a broken
// picture costs itself, and the exit code tells.
func TestRenderFolder(t *testing.T) {
	small := testimage.JPEG(testimage.Demo(90, 60), 90)
	dir := folderOf(t, map[string][]byte{
		"cat.jpg": small, "deep/er/dog.PNG": testimage.PNG(testimage.Demo(60, 90)), ".hidden/cow.jpg": small, "notes.txt": []byte("no picture"),
	})
	to := filepath.Join(t.TempDir(), "made", "here")
	args := []string{"render", dir, "--to", to, "--outputs", "_30_0.webp,_20_20.jpg?fit=crop&gravity=north,.png"}
	code, stdout, stderr := command(args...)
	if code != exitOK || stdout != "6 pictures: 6 rendered, 0 already there, 0 failed\n" {
		t.Fatalf("%d %s%s", code, stdout, stderr)
	}
	want := map[string][3]any{
		"cat_30_0.webp": {"webp", 30, 20}, "cat_20_20,fit=crop,gravity=north.jpg": {"jpeg", 20, 20}, "cat.png": {"png", 90, 60},
		"deep/er/dog_30_0.webp": {"webp", 30, 45}, "deep/er/dog_20_20,fit=crop,gravity=north.jpg": {"jpeg", 20, 20}, "deep/er/dog.png": {"png", 60, 90},
	}
	got := map[string][3]any{}
	for name, body := range filesIn(t, to) {
		format, width, height := reply{body: body}.size(t)
		got[name] = [3]any{format, width, height}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}

	if err := os.Remove(filepath.Join(to, "cat.png")); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "deep/er/dog.PNG"), later, later); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "broken.jpg"), small[:len(small)/9], 0o644); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = command(args...)
	if code != exitFailed || !strings.HasPrefix(stdout, "9 pictures: 4 rendered, 2 already there, 3 failed\n") || strings.Count(stdout, "broken.jpg -> broken") != 3 {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
	if made := filesIn(t, to); len(made) != 6 {
		t.Errorf("%v", slices.Sorted(maps.Keys(made)))
	}
}

// TestRenderBeside: results beside their sources are no sources of the next run; patterns and --dry-run.
func TestRenderBeside(t *testing.T) {
	small := testimage.JPEG(testimage.Demo(90, 60), 90)
	dir := folderOf(t, map[string][]byte{"cat.jpg": small, "dog.jpg": small})
	pattern := filepath.Join(dir, "*.jpg")
	code, stdout, stderr := command("render", pattern, "-o", "_30_0.jpg", "-o", "_15_0.jpg", "--dry-run")
	if code != exitOK || strings.Count(stdout, "\n") != 4 || len(filesIn(t, dir)) != 2 {
		t.Fatalf("%d %s%s", code, stdout, stderr)
	}
	for _, want := range []string{"4 rendered, 0 already there", "0 rendered, 4 already there"} {
		for _, source := range []string{pattern, dir} {
			code, stdout, stderr := command("render", source, "-o", "_30_0.jpg,_15_0.jpg")
			if code != exitOK || !strings.Contains(stdout, want) || len(filesIn(t, dir)) != 6 {
				t.Errorf("%s: %d %s%s", source, code, stdout, stderr)
			}
			want = "0 rendered, 4 already there"
		}
	}
}

// TestRenderUsage: what cannot be meant is said before anything is begun.
func TestRenderUsage(t *testing.T) {
	small := testimage.JPEG(testimage.Demo(9, 6), 90)
	dir := folderOf(t, map[string][]byte{"cat.jpg": small, "cat.png": testimage.PNG(testimage.Demo(9, 6))})
	for says, args := range map[string][]string{
		"both become":   {dir, "--outputs", "_3_0.webp"},
		"no such file":  {filepath.Join(dir, "dog*"), "--outputs", "_3_0.webp"},
		"name a format": {dir, "--outputs", "_3_0"},
		"no viewer":     {dir, "--outputs", "_3_0.auto"},
		"fit":           {dir, "--outputs", "_3_0.webp?fit=never"},
		"at most 4096":  {dir, "--outputs", "_5000_0.webp"},
		"its own":       {filepath.Join(dir, "cat.jpg"), "--outputs", ".jpg"},
		"--match":       {dir, "--match", "[", "--outputs", "_3_0.webp"},
		"no picture":    {t.TempDir(), "--outputs", "_3_0.webp"},
		"--concurrency": {dir, "--concurrency", "0", "--outputs", "_3_0.webp"},
		"--outputs":     {dir},
	} {
		code, _, stderr := command(append([]string{"render"}, args...)...)
		if says == "both become" {
			says = "would both become"
		}
		if code != exitUsage || !strings.Contains(stderr, says) {
			t.Errorf("%v: %d %s, want %q", args, code, stderr, says)
		}
	}
	if files := filesIn(t, dir); len(files) != 2 {
		t.Errorf("%v", slices.Sorted(maps.Keys(files)))
	}
}

// TestReadOutputs: a comma ends a variant only where the next one begins.
func TestReadOutputs(t *testing.T) {
	outputs, err := readOutputs([]string{"_9_0.webp,_8_8.jpg?crop=1,2,30,40,.png", ".png"}, transform.DefaultLimits())
	var names []string
	for _, o := range outputs {
		names = append(names, o.name)
	}
	if diff := cmp.Diff([]string{"_9_0.webp", "_8_8,crop=1,2,30,40.jpg", ".png"}, names); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// TestRenderInterrupted: whoever stops it finds whole files only, and the same command goes on.
func TestRenderInterrupted(t *testing.T) {
	source := testimage.JPEG(testimage.Demo(1200, 800), 90)
	files := map[string][]byte{}
	for i := range 24 {
		files[string(rune('a'+i%26))+strings.Repeat("x", i/26)+".jpg"] = source
	}
	dir, to := folderOf(t, files), t.TempDir()
	args := []string{"render", dir, "--to", to, "--outputs", "_1100_0.webp", "--concurrency", "1"}
	run := deckle(nil, args...)
	var said bytes.Buffer
	run.Stdout, run.Stderr = &said, &said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "a picture is there", func() bool {
		made, err := filepath.Glob(filepath.Join(to, "*.webp"))
		return err == nil && len(made) > 0
	})
	if err := run.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := run.Wait(); err == nil || run.ProcessState.ExitCode() != exitFailed || !strings.Contains(said.String(), "are left; the same command goes on") {
		t.Fatalf("%v %s", err, &said)
	}
	made := filesIn(t, to)
	for name, body := range made {
		if format, width, _ := (reply{body: body}).size(t); format != "webp" || width != 1100 || len(body) < 1000 {
			t.Errorf("%s: %s %d", name, format, width)
		}
	}
	if len(made) == 0 || len(made) == len(files) {
		t.Fatalf("%d of %d were made", len(made), len(files))
	}
	said.Reset()
	rest := deckle(nil, append(args[:len(args)-1], "2")...)
	rest.Stdout, rest.Stderr = &said, &said
	if err := rest.Run(); err != nil || len(filesIn(t, to)) != len(files) {
		t.Errorf("%v %s", err, &said)
	}
}
