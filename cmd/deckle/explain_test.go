package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"deckle/internal/testimage"
)

// explain asks with the command, and reads what it printed.
func explain(t *testing.T, want int, args ...string) (x explained) {
	t.Helper()
	code, stdout, stderr := command(append([]string{"explain", "--json"}, args...)...)
	if code != want {
		t.Fatalf("%v: %d, want %d: %s%s", args, code, want, stdout, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &x); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	return x
}

// TestExplainHere: without a server, what the URL itself says.
func TestExplainHere(t *testing.T) {
	for _, test := range []struct {
		args      []string
		code      int
		canonical string
		redirect  string
		problem   string
		signed    bool
	}{
		{args: []string{"/cat_300_200_2x.webp?quality=80&fit=crop&utm_source=x"}, canonical: "/cat_600_400.webp?fit=crop&quality=80"},
		{args: []string{"https://pictures.example/shop/a%20b_30_0.JPG"}, code: exitFailed, problem: "a character other than letters"},
		{args: []string{"/cat_9000_0.webp"}, canonical: "/cat_9000_0.webp", redirect: "/cat_4096_0.webp"},
		{args: []string{"/cat_333_200.webp", "--sizes", "200,400"}, canonical: "/cat_333_200.webp", redirect: "/cat_400_200.webp"},
		{args: []string{"/cat_30_20.webp?fit=around"}, code: exitFailed, problem: "fit"},
		{args: []string{"/cat.jpg", "--signed", "reads"}, canonical: "/cat.jpg", signed: true},
		{args: []string{"/a/cat.jpg", "--private", "a"}, canonical: "/a/cat.jpg", signed: true},
		{args: []string{"/ab/cat.jpg", "--private", "a"}, canonical: "/ab/cat.jpg"},
		{args: []string{"/cat.webp?preset=small", "--presets", "small=_30_0"}, canonical: "/cat_30_0.webp"},
	} {
		x := explain(t, test.code, test.args...)
		if x.Canonical != test.canonical || x.Redirect != test.redirect || !strings.Contains(x.Problem, test.problem) || x.Signature.Needed != test.signed {
			t.Errorf("%v: %+v", test.args, x)
		}
	}
	if code, _, _ := command("explain", "cat.jpg"); code != exitUsage {
		t.Errorf("%d", code)
	}
}

// TestExplainThere: a running Deckle tells of its tiers, and looking changes nothing.
func TestExplainThere(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--signed", "private", "--private", "secret", "--signing-secrets", strings.Repeat("s", 32))
	d.upload("cat", testimage.JPEG(testimage.Demo(400, 300), 85), false)
	const url = "/cat_30_20.webp?quality=70"
	before := explain(t, exitOK, url, "--admin", d.admin)
	if before.Status != 200 || len(before.Tiers) != 2 || before.Tiers[0].Held || before.Tiers[1].Held || before.Key.Variant != "_30_20.webp?quality=70" {
		t.Fatalf("%+v", before)
	}
	body := d.mustGet(url, "render").body
	d.mustGet(url, "memory")
	eventually(t, 10*time.Second, "both tiers hold it", func() bool {
		x := explain(t, exitOK, url, "--admin", d.admin)
		return x.Tiers[0].Held && x.Tiers[1].Held && x.Tiers[1].Bytes == len(body) && x.Tiers[1].Type == "image/webp" && x.Tiers[0].Rendered != nil
	})
	if renders := d.metric("deckle_renders_total"); renders != 1 {
		t.Errorf("%v renders", renders)
	}
	if x := explain(t, exitFailed, "/none_1_1.jpg", "--admin", d.admin); x.Status != 404 {
		t.Errorf("%+v", x)
	}
	if x := explain(t, exitFailed, "/secret/cat_1_1.jpg", "--admin", d.admin); !x.Signature.Needed || x.Signature.Problem == "" || x.Status < 400 {
		t.Errorf("%+v", x)
	}
	if x := explain(t, exitOK, "/cat_9999_1.jpg", "--admin", d.admin); x.Status != 307 || x.Redirect == "" {
		t.Errorf("%+v", x)
	}
	if x := explain(t, exitOK, "/cat_30_20.auto", "--accept", "image/avif,image/webp", "--admin", d.admin); !strings.HasPrefix(x.Key.Variant, "_30_20.avif") {
		t.Errorf("%+v", x.Key)
	}
	code, stdout, _ := command("explain", url, "--admin", d.admin)
	for _, want := range []string{"canonical", "memory", "holds it: 27 x 20, image/webp", "not needed"} {
		if code != exitOK || !strings.Contains(stdout, want) {
			t.Errorf("%d, no %q in\n%s", code, want, stdout)
		}
	}
}
