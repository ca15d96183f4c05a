package main

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"deckle/internal/testimage"
	"deckle/internal/testserver"

	"go.yaml.in/yaml/v4"
)

// deployed reads a file of deploy/.
func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// accepts has the real binary read settings from a file and from the environment, as a deployment gives them.
func accepts(t *testing.T, file map[string]any, environment []string) {
	t.Helper()
	text, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "deckle.yaml")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if printed, err := deckle(environment, "config", "--config", name).CombinedOutput(); err != nil {
		t.Errorf("%v: %s\n%s\n%s", err, printed, text, strings.Join(environment, "\n"))
	}
}

// TestChartSettings holds the settings that the chart's values give, with those that it adds, to what the binary takes.
func TestChartSettings(t *testing.T) {
	t.Parallel()
	standard := map[string]any{}
	for _, name := range []string{"helm/deckle/values.yaml", "helm/values/one.yaml", "helm/values/fleet.yaml"} {
		var values struct{ Config map[string]any }
		if err := yaml.Unmarshal([]byte(deployed(t, name)), &values); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(values.Config) == 0 {
			t.Errorf("%s gives no settings", name)
		}
		secrets := filepath.Join(t.TempDir(), "secrets")
		if err := os.WriteFile(secrets, []byte("a secret of this test, 32 bytes!\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		settings := maps.Clone(standard)
		maps.Copy(settings, values.Config)
		maps.Copy(settings, map[string]any{"listen": ":8080", "data": "/data", "admin-listen": ":8081"})
		if settings["signed"] != nil {
			settings["signing-secrets-file"] = secrets
		}
		accepts(t, settings, []string{"DECKLE_API_KEYS=a-key-of-this-test", "DECKLE_REDIS=rediss://redis:6379/0", "DECKLE_ADMIN=http://127.0.0.1:8081"})
		if len(standard) == 0 {
			standard = values.Config
		}
	}
}

// TestComposeSettings holds the environments of the compose files, and every setting that the example names, to what it takes.
func TestComposeSettings(t *testing.T) {
	t.Parallel()
	var fleet struct {
		Node struct{ Environment map[string]string } `yaml:"x-node"`
	}
	if err := yaml.Unmarshal([]byte(deployed(t, "compose/fleet.yaml")), &fleet); err != nil {
		t.Fatal(err)
	}
	var environment []string
	for name, value := range fleet.Node.Environment {
		if from := strings.Index(value, "${"); from >= 0 {
			value = value[:from] + "secret" + value[strings.IndexByte(value, '}')+1:]
		}
		environment = append(environment, name+"="+value)
	}
	if len(environment) < 6 {
		t.Fatalf("the nodes of the fleet are told %v only", environment)
	}
	accepts(t, nil, environment)

	environment = nil
	for line := range strings.Lines(deployed(t, "compose/deckle.env.example")) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "#"))
		if name, value, _ := strings.Cut(line, "="); strings.HasPrefix(name, "DECKLE_") {
			if name == "DECKLE_SIGNING_SECRETS" {
				value = "a-secret-of-this-test-of-32-bytes"
			}
			environment = append(environment, name+"="+value)
		}
	}
	if len(environment) < 4 {
		t.Fatalf("the example names %v only", environment)
	}
	accepts(t, nil, environment)
}

// TestComposeBalancer fills the balancer's configuration in as the compose file's command does, and serves with it.
func TestComposeBalancer(t *testing.T) {
	t.Parallel()
	var fleet struct {
		Services struct {
			Nginx struct{ Command []string }
		}
	}
	if err := yaml.Unmarshal([]byte(deployed(t, "compose/fleet.yaml")), &fleet); err != nil {
		t.Fatal(err)
	}
	d := start(t, "--data", t.TempDir())
	d.upload("demo", testimage.JPEG(testimage.Quadrants(90, 60), 85), false)
	script := fleet.Services.Nginx.Command[2]
	fill, _, found := strings.Cut(script, ">/tmp/nginx.conf")
	if !found {
		t.Fatalf("the command is %q", script)
	}
	balancer := testserver.NginxConfig(t, func(dir, addr string) string {
		source, err := filepath.Abs("../../deploy/fleet/nginx.conf")
		if err != nil {
			t.Fatal(err)
		}
		config := shell(t, strings.Replace(fill, "/etc/nginx/fleet.conf", source, 1))
		for i := range 3 {
			config = strings.ReplaceAll(config, fmt.Sprintf("node%d:8080", i+1), strings.TrimPrefix(d.edge, "http://"))
		}
		user := ""
		if os.Getuid() == 0 {
			user = "user root; "
		}
		return "master_process off; " + user + strings.NewReplacer("listen 8080", "listen "+addr, "/tmp", dir).Replace(config)
	})
	response, err := http.Get("http://" + balancer.Addr + "/demo_60_40.jpg")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Header.Get("X-Node") != strings.TrimPrefix(d.edge, "http://") {
		t.Errorf("%s by %s", response.Status, response.Header.Get("X-Node"))
	}
}

// shell runs a command line and returns what it prints.
func shell(t *testing.T, line string) string {
	t.Helper()
	printed, err := exec.Command("sh", "-c", line).Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return string(printed)
}
