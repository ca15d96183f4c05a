package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"
)

// upgradeVariable is the revision from which TestRollingUpgrade upgrades; it is built for that. Without it the former version is this
// one under another name, with other settings of its encoders. The figures of a revision are printed as a row of
// bench/results/upgrade.md.
const upgradeVariable = "DECKLE_UPGRADE_FROM"

// version is a program that nodes run.
type version struct {
	name    string // what it says of itself
	program string // empty for this one
	args    []string
}

// upgrade is a fleet on Redis, S3 and PostgreSQL behind two balancers, the viewers' and the operators', on its way from one version to
// another.
type upgrade struct {
	*threeNodes
	former, next version
	origin       string
	front        string
	office       string
	load         *rollingLoad
}

// startUpgrade starts three nodes of the former version.
func startUpgrade(t *testing.T) *upgrade {
	u := &upgrade{threeNodes: &threeNodes{t: t, redis: testserver.Redis(t)}, next: version{name: "next"}}
	u.former = formerVersion(t)
	database, s3 := testserver.Postgres(t), testserver.S3(t)
	s3.SetCredentials(t)
	u.origin = s3.URL(s3.Bucket(t))
	at, store := database.Database(t), s3.URL(s3.Bucket(t))
	var edges, offices []string
	for range 3 {
		// A node believes what it knows of a source for a minute: that another replaced it, it hears from that one or not at all.
		node := u.former.start(t, "--data", t.TempDir(), "--database", at, "--redis", u.redis.URL(), "--origin", u.origin, "--store", store,
			"--renderers", "1", "--render-timeout", "20s", "--max-client-connections", "2048", "--drain-delay", "500ms", "--memory", "32MiB",
			"--source-budget", "off", "--access-log", "errors", "--version-fresh", "1m", "--version-stale", "2m")
		node.pin()
		u.nodes = append(u.nodes, node)
		edges, offices = append(edges, strings.TrimPrefix(node.edge, "http://")), append(offices, strings.TrimPrefix(node.admin, "http://"))
	}
	u.front, u.office = "http://"+testserver.Balancer(t, edges).Addr, "http://"+testserver.Balancer(t, offices).Addr
	return u
}

// formerVersion is what is upgraded from.
func formerVersion(t *testing.T) version {
	t.Helper()
	revision := os.Getenv(upgradeVariable)
	if revision == "" {
		return version{name: "former", args: []string{"--effort", "webp=6"}}
	}
	// An archive, and no work tree: it leaves nothing in the repository.
	tree, program := t.TempDir(), filepath.Join(t.TempDir(), "deckle")
	script := `set -o pipefail; git -C ../.. archive "$1" | tar -x -C "$2" && cd "$2" && go build -ldflags "-X main.built=$1" -o "$3" ./cmd/deckle`
	if output, err := exec.Command("bash", "-c", script, "bash", revision, tree, program).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", revision, err, output)
	}
	return version{name: revision, program: program}
}

// start starts a node of a version.
func (v version) start(t *testing.T, args ...string) *daemon {
	t.Helper()
	return begin(t, &daemon{program: v.program, built: v.name, more: v.args}, args...)
}

// replace ends a node as a deployment does, and starts it again as another version.
func (u *upgrade) replace(node *daemon, v version) time.Duration {
	u.t.Helper()
	begin := time.Now()
	node.stop()
	node.program, node.built, node.more = v.program, v.name, v.args
	node.launch()
	eventually(u.t, time.Minute, "the node is ready", func() bool { return request("GET", node.admin+"/probe/ready", nil).status == 200 })
	if got := node.runs(); got != v.name {
		u.t.Errorf("the node runs %q, want %q", got, v.name)
	}
	return time.Since(begin)
}

// runs is the version that a node says it is.
func (d *daemon) runs() string {
	return into[struct{ Info struct{ Version string } }](d.t, d.operate("GET", "/openapi.json", "", 200)).Info.Version
}

// hears replaces a picture at one node and wants another one to show it: what nodes tell each other, the other version understands.
func (u *upgrade) hears(from, to *daemon, seed uint64) {
	u.t.Helper()
	id := fmt.Sprintf("told%d", seed)
	u.nodes[0].upload(id, testimage.JPEG(testimage.Photo(90, 60, seed), 80), false)
	path := "/" + id + "_45_30.png"
	before := to.mustGet(path).body
	from.upload(id, testimage.JPEG(testimage.Photo(90, 60, seed+100), 80), true)
	eventually(u.t, 10*time.Second, from.runs()+" is heard by "+to.runs(), func() bool { return !bytes.Equal(to.mustGet(path).body, before) })
}

// TestRollingUpgrade: a fleet is upgraded node by node under an open load of hits, misses, uploads and purges, and no request fails, no
// picture is another one, and no upload is lost. Versions that run side by side hear each other, and the way back works as well.
func TestRollingUpgrade(t *testing.T) {
	u := startUpgrade(t)
	every, side := 80*time.Millisecond, 20
	if u.former.program != "" {
		every, side = 20*time.Millisecond, 1000
	}
	u.load = startRollingLoad(t, u.front, u.office, every)
	var took []time.Duration
	for i, node := range u.nodes {
		took = append(took, u.replace(node, u.next))
		u.load.more(side)
		if i < len(u.nodes)-1 {
			u.hears(node, u.nodes[2], uint64(2*i))
			u.hears(u.nodes[2], node, uint64(2*i+1))
		}
	}
	back := u.replace(u.nodes[0], u.former)
	u.hears(u.nodes[0], u.nodes[1], 8)
	u.hears(u.nodes[1], u.nodes[0], 9)
	u.load.more(side)
	u.replace(u.nodes[0], u.next)
	u.load.end()

	// Who shares nothing with the fleet but its originals has to come to the same bytes.
	var pure []*daemon
	for _, v := range []version{u.former, u.next} {
		pure = append(pure, v.start(t, "--data", t.TempDir(), "--origin", u.origin, "--source-budget", "off", "--client-budget", "off", "--access-log", "errors"))
	}
	seen := u.load.check(pure[0], pure[1])
	if u.former.program == "" && (seen[pure[0]] == 0 || seen[pure[1]] == 0) {
		t.Errorf("%d pictures are the former version's, %d the next one's", seen[pure[0]], seen[pure[1]])
	}
	u.load.checkUploads(u.nodes)
	t.Logf("| %s | %s | %s | %s |", u.former.name, u.load, seconds(took), seconds([]time.Duration{back}))
}

func seconds(all []time.Duration) string {
	var texts []string
	for _, d := range all {
		texts = append(texts, fmt.Sprintf("%.1f", d.Seconds()))
	}
	return strings.Join(texts, ", ")
}

// lastFree is the last migration that did as it liked: after it there were databases that several nodes share.
const lastFree = "00012_data.sql"

// TestMigrationsOnlyAdd: a node of the former version works on, on the schema that the next version has brought up to date.
func TestMigrationsOnlyAdd(t *testing.T) {
	files, err := filepath.Glob("../../catalog/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		up = regexp.MustCompile(`(?m)--.*$`).ReplaceAllString(up, "")
		if breaks := breaksFormer(up); breaks != "" && filepath.Base(file) > lastFree {
			t.Errorf("%s: %q breaks nodes of the version before; the version after the next may do so", filepath.Base(file), breaks)
		}
	}
	for statement, want := range map[string]bool{
		"ALTER TABLE a ADD COLUMN b BIGINT NOT NULL DEFAULT 0": false, "CREATE INDEX a ON b (c)": false, "DROP INDEX a": false,
		"CREATE TABLE a (\n b TEXT NOT NULL\n)": false, "ALTER TABLE a ADD COLUMN b TEXT": false, "ALTER TABLE a ADD COLUMN b TEXT NOT NULL": true,
		"DROP TABLE a": true, "ALTER TABLE a DROP COLUMN b": true, "ALTER TABLE a\n  RENAME COLUMN b TO c": true, "alter table a rename to b": true,
	} {
		if got := breaksFormer(statement) != ""; got != want {
			t.Errorf("%s: %t", statement, got)
		}
	}
}

// breaksFormer returns the first statement that takes something away from nodes of the version before, or asks of them what they do not know.
func breaksFormer(sql string) string {
	for statement := range strings.SplitSeq(strings.ToUpper(sql), ";") {
		words := " " + strings.Join(strings.Fields(statement), " ") + " "
		demands := strings.Contains(words, " ADD COLUMN ") && strings.Contains(words, " NOT NULL ") && !strings.Contains(words, " DEFAULT ")
		if demands || strings.Contains(words, " DROP TABLE ") || strings.Contains(words, " DROP COLUMN ") || strings.Contains(words, " RENAME ") {
			return strings.TrimSpace(words)
		}
	}
	return ""
}
