package deploy

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// lines are those of a Dockerfile, a unit or a script that say something.
func lines(text string) (list []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

// TestDockerfile holds what the image promises: pinnable bases, no architecture, a user that is not root, a health check.
func TestDockerfile(t *testing.T) {
	file := lines(read(t, "docker/Dockerfile"))
	for _, want := range []string{
		"FROM ${GO} AS build", "FROM ${DEBIAN}", "ENV LD_PRELOAD=libjemalloc.so.2", "ENV DECKLE_DATA=/data", "USER 10001:10001",
		`ENTRYPOINT ["deckle"]`, `CMD ["serve"]`,
	} {
		if !slices.Contains(file, want) {
			t.Errorf("there is no line %s", want)
		}
	}
	health := slices.IndexFunc(file, func(line string) bool {
		return strings.HasPrefix(line, "HEALTHCHECK ") && strings.HasSuffix(line, `CMD ["deckle", "healthcheck"]`)
	})
	if health < 0 {
		t.Error("there is no health check")
	}
	user := slices.Index(file, "USER 10001:10001")
	for i, line := range file {
		if regexp.MustCompile(`(?i)amd64|x86_64|arm64|aarch64|linux-gnu`).MatchString(line) {
			t.Errorf("%s names an architecture", line)
		}
		if i > user && strings.HasPrefix(line, "RUN ") {
			t.Errorf("%s runs as the image's user", line)
		}
	}
}

// TestUser holds that all who name the image's user name the same.
func TestUser(t *testing.T) {
	for file, want := range map[string]string{
		"image/runtime.sh":                       "\nid=10001\n",
		"image/prove.sh":                         "\nuser=10001\n",
		"helm/deckle/templates/deployment.yaml":  "runAsUser: 10001\n",
		"compose/fleet.yaml":                     `user: "10001:10001"`,
		"helm/deckle/templates/deployment.yaml ": "fsGroup: 10001\n",
	} {
		if !strings.Contains(read(t, strings.TrimSpace(file)), want) {
			t.Errorf("%s does not say %q", file, want)
		}
	}
}

// TestScripts holds that every script is one for its shell, and that the image's stages run the scripts that are proved.
func TestScripts(t *testing.T) {
	scripts := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".sh" {
			return err
		}
		scripts++
		shell := "bash"
		if strings.HasPrefix(read(t, path), "#!/bin/sh\n") {
			shell = "sh"
		}
		if printed, err := exec.Command(shell, "-n", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", path, printed)
		}
		if info, err := entry.Info(); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s cannot be run: %v", path, err)
		}
		return nil
	})
	if err != nil || scripts < 5 {
		t.Errorf("%d scripts: %v", scripts, err)
	}
	for _, script := range []string{"deploy/image/build.sh", "/image/runtime.sh"} {
		if !strings.Contains(read(t, "docker/Dockerfile"), script) {
			t.Errorf("the image does not run %s", script)
		}
	}
}

// secretive are names of settings whose values are secrets.
var secretive = regexp.MustCompile(`PASSWORD|SECRET|ACCESS_KEY|API_KEY`)

// TestCompose holds that no file has a secret in it, that every variable is in the example, and that the example gives none away.
func TestCompose(t *testing.T) {
	for _, name := range []string{"single", "fleet"} {
		var file struct {
			Services map[string]struct {
				Environment map[string]string
				ReadOnly    bool `yaml:"read_only"`
			}
		}
		text := read(t, "compose/"+name+".yaml")
		if err := yaml.Unmarshal([]byte(text), &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for service, s := range file.Services {
			if !s.ReadOnly {
				t.Errorf("%s: the root of %s can be written", name, service)
			}
			for variable, value := range s.Environment {
				if secretive.MatchString(variable) && !strings.HasPrefix(value, "${") {
					t.Errorf("%s: %s of %s is in the file", name, variable, service)
				}
			}
		}
	}
	example := read(t, "compose/fleet.env.example")
	for _, variable := range regexp.MustCompile(`\$\{(\w+):\?`).FindAllStringSubmatch(read(t, "compose/fleet.yaml"), -1) {
		if !strings.Contains(example, "\n"+variable[1]+"=\n") {
			t.Errorf("the example does not leave %s open", variable[1])
		}
	}
}

// TestUnit holds what renderers need of the unit to lock themselves in; a unit that is only strict would leave them open.
func TestUnit(t *testing.T) {
	unit := lines(read(t, "systemd/deckle.service"))
	for _, want := range []string{
		"User=deckle", "RestrictNamespaces=user net ipc", "SystemCallFilter=@system-service", "SystemCallFilter=chroot seccomp",
		"SystemCallErrorNumber=EPERM", "NoNewPrivileges=true", "CapabilityBoundingSet=", "ProtectSystem=strict", "StateDirectory=deckle",
	} {
		if !slices.Contains(unit, want) {
			t.Errorf("the unit does not say %s", want)
		}
	}
	if !strings.Contains(read(t, "systemd/deckle.sysusers"), "\nu deckle ") {
		t.Error("nobody makes the user")
	}
}

// TestMetric holds that pods are counted by a metric that there is.
func TestMetric(t *testing.T) {
	name := regexp.MustCompile(`(?m)^ +name: (deckle_\w+)$`).FindStringSubmatch(read(t, "helm/deckle/templates/hpa.yaml"))
	if name == nil || !strings.Contains(read(t, "../cmd/deckle/serve.go"), `"`+name[1]+`"`) {
		t.Errorf("no gauge is called %v", name)
	}
}

// TestChart holds that every value is known to the schema, which refuses all others, and is used by a template.
func TestChart(t *testing.T) {
	var values, schema map[string]any
	if err := yaml.Unmarshal([]byte(read(t, "helm/deckle/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(read(t, "helm/deckle/values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	templates := ""
	files, err := filepath.Glob("helm/deckle/templates/*")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d templates: %v", len(files), err)
	}
	for _, file := range files {
		templates += read(t, file)
	}
	known := schema["properties"].(map[string]any)
	for name := range values {
		if known[name] == nil {
			t.Errorf("the schema does not know %s", name)
		}
		if !strings.Contains(templates, ".Values."+name) {
			t.Errorf("no template uses %s", name)
		}
	}
	for name := range known {
		if _, there := values[name]; !there && name != "global" {
			t.Errorf("%s is in the schema and has no value", name)
		}
	}
}
