package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"
)

// TestTwoNodesOneDatabase: what one node grants another one takes, and both know it; when the database is away, pictures are served
// and uploads say so, and when it is back nobody has to be started again.
func TestTwoNodesOneDatabase(t *testing.T) {
	database, redis, s3 := testserver.Postgres(t), testserver.Redis(t), testserver.S3(t)
	s3.SetCredentials(t)
	args := []string{
		"--database", database.Database(t), "--redis", redis.URL(), "--origin", s3.URL(s3.Bucket(t)), "--store", s3.URL(s3.Bucket(t)), "--renderers", "1",
	}
	a, b := start(t, append(args, "--data", t.TempDir())...), start(t, append(args, "--data", t.TempDir())...)

	token, got := a.token("cat", false)
	if token == "" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	picture := testimage.PNG(testimage.Quadrants(64, 48))
	if got := request("POST", b.edge+"/cat", bytes.NewReader(picture), "X-Token", token); got.status != 200 {
		t.Fatalf("used at the other node: %d %s", got.status, got.body)
	}
	type known struct{ Active receipt }
	first := into[known](t, a.operate("GET", "/sources/cat", "", 200))
	second := into[known](t, b.operate("GET", "/sources/cat", "", 200))
	if first != second || first.Active.Bytes != int64(len(picture)) {
		t.Errorf("one says %+v, the other %+v", first, second)
	}
	other := testimage.PNG(testimage.Quadrants(48, 64))
	if got := request("POST", a.edge+"/cat", bytes.NewReader(other), "X-Token", token); got.status < 400 {
		t.Errorf("used again at the first: %d", got.status)
	}
	a.mustGet("/cat_32_24.png")

	database.Stop()
	b.mustGet("/cat_16_12.png")
	if token, got := a.token("dog", false); token != "" || got.status != 503 {
		t.Errorf("a token without a database: %d %s", got.status, got.body)
	}
	database.Start()
	begin := time.Now()
	for token, got := a.token("dog", false); token == ""; token, got = a.token("dog", false) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("a token after the database is back: %d %s", got.status, got.body)
		}
	}
}

func TestDatabaseSetting(t *testing.T) {
	for _, row := range []struct{ value, says string }{
		{"postgres://user:hunter2@db/deckle", "postgres://user:xxxxx@db/deckle"},
		{"sqlite:///var/lib/x.db", "sqlite:///var/lib/x.db"},
	} {
		code, stdout, stderr := command("config", "--database", row.value)
		if code != exitOK || !strings.Contains(stdout, row.says) || strings.Contains(stdout, "hunter2") {
			t.Errorf("%s: %d %s %s", row.value, code, stdout, stderr)
		}
	}
	for _, value := range []string{"mysql://user:hunter2@db/x", "postgres://user:hunter2@", "postgres://db/x?password=hunter2", "sqlite://host/x"} {
		code, stdout, stderr := command("config", "--database", value)
		if code == exitOK || !strings.Contains(stderr, "--database") || strings.Contains(stdout+stderr, "hunter2") {
			t.Errorf("%s: %d %s %s", value, code, stdout, stderr)
		}
	}
}
