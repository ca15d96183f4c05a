package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func command(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// TestPrecedence: a flag beats the environment, which beats the file, which beats the default.
func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	yaml := filepath.Join(dir, "deckle.yaml")
	if err := os.WriteFile(yaml, []byte("memory: 1GiB\nqueue: 7\nmax-age: 5m\nignore: [v, x]\n"+
		"effort: {jpg: 3, webp: 4}\npresets: {small: _30_0, soft: blur=true}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "keys")
	if err := os.WriteFile(secret, []byte("first,second\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DECKLE_QUEUE", "8")
	t.Setenv("DECKLE_MAX_AGE", "6m")
	t.Setenv("DECKLE_API_KEYS_FILE", secret)
	code, stdout, stderr := command("config", "--config", yaml, "--max-age", "7m", "--redis", "redis://user:hunter2@localhost:6379/0")
	if code != exitOK {
		t.Fatalf("%d %s", code, stderr)
	}
	for _, line := range []string{
		"memory: 1GiB", `queue: "8"`, "max-age: 7m", "ignore: v,x", "effort: jpg=3,webp=4", "presets: small=_30_0;soft=blur=true", "listen: :8080", "redis: redis://user:xxxxx@localhost:6379/0", "api-keys: '****'",
	} {
		if !strings.Contains(strings.ReplaceAll(stdout, `"****"`, `'****'`), line) {
			t.Errorf("no line %q in\n%s", line, stdout)
		}
	}
	for _, secret := range []string{"hunter2", "first", "second"} {
		if strings.Contains(stdout, secret) {
			t.Errorf("%s is told", secret)
		}
	}
}

// TestConfigFaults: every fault is listed at once, each with its flag, its variable and the remedy; nothing is begun.
func TestConfigFaults(t *testing.T) {
	tests := []struct {
		name string
		args []string
		says []string
	}{
		{"several at once", []string{"--memory", "lots", "--queue", "0", "--timeout", "soon", "--redis", "http://x"}, []string{
			"--memory (DECKLE_MEMORY)", "256MiB", "--queue (DECKLE_QUEUE)", "--timeout (DECKLE_TIMEOUT)", "--redis (DECKLE_REDIS)", "redis://"}},
		{"password in a URL", []string{"--redis", "ftp://user:hunter2@x"}, []string{"ftp://user:xxxxx@x"}},
		{"admin without keys", []string{"--admin-listen", "0.0.0.0:8081"}, []string{"loopback", "--api-keys"}},
		{"address", []string{"--listen", "8080"}, []string{"host:port"}},
		{"origin", []string{"--origin", "gopher://x"}, []string{"file:// or s3://"}},
		{"upload slots", []string{"--upload-slots", "0"}, []string{"1 to 1024"}},
		{"stale below fresh", []string{"--version-fresh", "9s", "--version-stale", "1s"}, []string{"--version-stale"}},
		{"network", []string{"--allow-upstream", "10.0.0.0"}, []string{"10.1.0.0/16"}},
		{"inputs", []string{"--inputs", "svg,pdf"}, []string{"--inputs", "svg"}},
		{"effort", []string{"--effort", "webp=9,avif"}, []string{"webp", "1 to 6", "webp=4"}},
		{"overlays", []string{"--overlays", "/nonexistent"}, []string{"--overlays", "directory"}},
		{"unknown flag", []string{"--memmory", "1GiB"}, []string{"--memory"}},
		{"enum", []string{"--log-level", "loud"}, []string{"debug"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "never")
			code, _, stderr := command(append([]string{"serve", "--data", data}, test.args...)...)
			if code != exitUsage {
				t.Errorf("exit code %d, want %d: %s", code, exitUsage, stderr)
			}
			for _, text := range test.says {
				if !strings.Contains(stderr, text) {
					t.Errorf("%q is not said in\n%s", text, stderr)
				}
			}
			if strings.Contains(stderr, "hunter2") {
				t.Error("a password is told")
			}
			if _, err := os.Stat(data); err == nil {
				t.Error("the data directory was made")
			}
		})
	}
}

func TestConfigFileFaults(t *testing.T) {
	for name, text := range map[string]string{"unknown setting": "memmory: 1GiB\n", "no YAML": "memory: [\n"} {
		file := filepath.Join(t.TempDir(), "deckle.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := command("config", "--config", file); code != exitUsage || !strings.HasPrefix(stderr, "deckle: "+file+": ") {
			t.Errorf("%s: %d %s", name, code, stderr)
		}
	}
	if code, _, stderr := command("config", "--config", "/nonexistent.yaml"); code != exitUsage {
		t.Errorf("absent file: %d %s", code, stderr)
	}
}

// defaults are the settings of a command line without any.
func defaults(t testing.TB) (s settings) {
	t.Helper()
	parser, err := kong.New(&s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOriginList(t *testing.T) {
	s := defaults(t)
	s.Origin = "shop=s3://bucket/p?endpoint=http://x&region=y,https://host/pictures"
	c, err := s.resolve()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.origins) != 2 || c.origins[0].prefix != "shop" || c.origins[0].at.Scheme != "s3" || c.origins[1].prefix != "" || c.origins[1].at.Host != "host" {
		t.Errorf("origins %+v", c.origins)
	}
}

// FuzzConfig: any text is a fault or a value, never a panic.
func FuzzConfig(f *testing.F) {
	f.Add("256MiB", "s3://b/p?region=x", ":8080")
	f.Add("-1", "a=b=c,=,", "[::1]:x")
	standard := defaults(f)
	f.Fuzz(func(t *testing.T, size, url, address string) {
		s := standard
		s.Origin, s.Store, s.Redis, s.Records.Database, s.APIKeys = url, url, url, url, url
		s.Listen, s.AdminListen, s.AllowUpstream = address, address, address
		s.Memory, s.Renderers, s.Queue, s.Timeout, s.RenderTimeout, s.RendererMemory = size, size, size, size, size, size
		s.PyramidMemory, s.MaxAge, s.VersionFresh, s.VersionStale, s.TokenLifetime = size, size, size, size, size
		s.MaxSourceBytes, s.MaxSourcePixels, s.MaxSourceSide, s.MaxOutputSide = size, size, size, size
		if c, err := s.resolve(); err == nil && (c.memory < 1 || c.queue < 1 || c.timeout < 1) {
			t.Errorf("%q was accepted as %+v", size, c)
		}
	})
}

func TestVersion(t *testing.T) {
	code, stdout, stderr := command("version")
	if code != exitOK {
		t.Fatalf("%d %s", code, stderr)
	}
	for _, text := range []string{"libvips 8.", "\nlibwebp 1.", "\nlibheif 1.", "go 1.", "jpg", "png", "webp", "avif", "gif", "jxl", "heic", "tif"} {
		if !strings.Contains(stdout, text) {
			t.Errorf("%q is missing in\n%s", text, stdout)
		}
	}
}

// TestOperatorCommands runs token and healthcheck against a running server, with and without its key.
func TestOperatorCommands(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--api-keys", "sesame")
	if code, _, stderr := command("token", "cat", "--admin", d.admin); code != exitFailed || !strings.Contains(stderr, "A key or a token is needed") {
		t.Errorf("without a key: %d %s", code, stderr)
	}
	code, stdout, stderr := command("token", "cat", "--admin", d.admin, "--api-key", "sesame")
	if code != exitOK || len(strings.TrimSpace(stdout)) < 20 {
		t.Errorf("token: %d %q %s", code, stdout, stderr)
	}
	if code, _, stderr := command("healthcheck", "--admin", d.admin); code != exitOK {
		t.Errorf("healthcheck: %d %s", code, stderr)
	}
	d.stop()
	if code, _, _ := command("healthcheck", "--admin", d.admin); code != exitFailed {
		t.Errorf("healthcheck of a stopped server: %d", code)
	}
}
