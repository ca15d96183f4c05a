package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"deckle/internal/testimage"
)

// TestWarm warms a list that names pictures several times, one that is not there, and one that cannot be.
func TestWarm(t *testing.T) {
	d := start(t, "--data", t.TempDir())
	d.upload("cat", testimage.JPEG(testimage.Quadrants(80, 60), 90), false)
	list := `
/cat_20_15.webp
/cat_20_15.webp?v=7
/cat_10_0_2x.webp
h - - [21/Nov/2026:23:00:00 +0000] "GET /cat_40_30.webp HTTP/1.1" 200 5 "-" "-"
https://img.example.com/missing_40_30.webp
/cat_30_30.webp?fit=stretched
`
	out, errs, code := execute(t, list, "warm", "-", "--edge", d.edge, "--concurrency", "2")
	if code != exitFailed || !strings.Contains(errs, "2 of 5 pictures") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	for _, want := range []string{"5 pictures in ", ": 3 rendered, 0 already there, 2 failed", "/missing_40_30.webp: 404", "/cat_30_30.webp?fit=stretched: 400"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	d.mustGet("/cat_20_15.webp", "memory")
	renders := d.metric("deckle_renders_total")
	out, errs, code = execute(t, "/cat_20_15.webp\n/cat_40_30.webp\n", "warm", "-", "--edge", d.edge)
	if code != exitOK || !strings.Contains(out, "0 rendered, 2 already there, 0 failed") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if got := request("POST", d.admin+"/warm", strings.NewReader("/cat_20_15.webp\n/cat_21_15.webp\n")); got.status != 200 ||
		!strings.Contains(string(got.body), `"rendered":1,"there":1`) {
		t.Errorf("over HTTP: %d %s", got.status, got.body)
	}
	if n := d.metric("deckle_renders_total") - renders; n != 1 {
		t.Errorf("%v renders, want 1", n)
	}
	for _, args := range [][]string{{"warm"}, {"warm", "/nowhere/at/all"}, {"warm", "-", "--rate", "-1"}} {
		if _, _, code := execute(t, "", args...); code != exitUsage {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
	if _, errs, code := execute(t, "# nothing\n", "warm", "-", "--edge", d.edge); code != exitFailed {
		t.Errorf("an empty list: exit code %d, %s", code, errs)
	}
}

// TestWarmSigned warms what is seen with a signature only: all that is read, and a picture that is private.
func TestWarmSigned(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--signed", "reads", "--signing-secrets", signSecret, "--signature-max-age", "30s")
	d.upload("cat", testimage.JPEG(testimage.Quadrants(80, 60), 90), false)
	const list = "/cat_20_15.webp?X-Expires=1&X-Signature=old\n"
	if got := request("POST", d.admin+"/warm", strings.NewReader(list)); !strings.Contains(string(got.body), `"rendered":1,"there":0,"failed":0`) {
		t.Errorf("over HTTP: %d %s", got.status, got.body)
	}
	if out, _, code := execute(t, list, "warm", "-", "--edge", d.edge); code != exitFailed || !strings.Contains(out, "401") {
		t.Errorf("without a secret: exit code %d\n%s", code, out)
	}
	// Its signatures are good for a minute, which is further ahead than this server allows.
	if out, _, code := execute(t, list, "warm", "-", "--edge", d.edge, "--secret", signSecret); code != exitFailed || !strings.Contains(out, "further ahead") {
		t.Errorf("with signatures that are good for too long: exit code %d\n%s", code, out)
	}
	t.Setenv("DECKLE_SIGNING_SECRETS", signSecret)
	if out, errs, code := execute(t, list+"/cat_40_30.webp\n", "warm", "-", "--edge", d.edge, "--ttl", "20s"); code != exitOK || !strings.Contains(out, "1 rendered, 1 already there, 0 failed") {
		t.Errorf("with the secret of the environment: exit code %d\n%s%s", code, out, errs)
	}

	private := start(t, "--data", t.TempDir())
	private.privateUpload("dog", testimage.PNG(testimage.Quadrants(64, 48)))
	if got := request("POST", private.admin+"/warm", strings.NewReader("/dog_31_20.webp\n")); !strings.Contains(string(got.body), `"rendered":1,"there":0,"failed":0`) {
		t.Errorf("a private picture: %d %s", got.status, got.body)
	}
	if got := private.get("/dog_31_20.webp"); got.status != 404 {
		t.Errorf("it is seen without a signature: %d", got.status)
	}
}

// TestWarmWaits: a server that has no room says so, and gets its time.
func TestWarmWaits(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--renderers", "1", "--queue", "1", "--client-budget", "off")
	const pictures = 6
	var list strings.Builder
	for i := range pictures {
		// Each of a source of its own: sizes of one source wait for its decoding, and are not refused meanwhile.
		d.upload(fmt.Sprintf("cat%d", i), photo(), false)
		fmt.Fprintf(&list, "/cat%d_200_0.webp\n", i)
	}
	out, errs, code := execute(t, list.String(), "warm", "-", "--edge", d.edge, "--concurrency", strconv.Itoa(pictures))
	if code != exitOK || !strings.Contains(out, fmt.Sprintf("%d rendered, 0 already there, 0 failed", pictures)) {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if n := d.metric("deckle_requests_total", `status="503"`); n == 0 {
		t.Error("nothing was refused: the test has shown nothing")
	}
}
