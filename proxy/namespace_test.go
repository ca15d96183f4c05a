package proxy

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"deckle/ingest"
	"deckle/transform"

	"github.com/google/go-cmp/cmp"
)

// hasher is a Hashes that keeps what it was given and answers err.
type hasher struct {
	upload  ingest.HashedUpload
	body    string
	outputs []string
	wait    bool
	job     string // in which outputs are being made; empty when they are
	err     error
}

func (h *hasher) ReceiveHashed(_ context.Context, u ingest.HashedUpload) (ingest.Hashed, error) {
	body, err := io.ReadAll(u.Body)
	h.upload, h.body = u, string(body)
	receipt := ingest.Receipt{ID: u.Namespace + strings.TrimPrefix(hashed, "/photos"), Width: 7, Height: 5, Format: transform.PNG}
	return ingest.Hashed{Receipt: receipt, Hash: hashOf(receipt.ID)}, errors.Join(err, h.err)
}

func (h *hasher) Fetch(_ context.Context, url string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("what lies at " + url)), h.err
}

func (h *hasher) Ensure(_ context.Context, id string, outputs []string, wait bool) (ingest.Job, error) {
	h.outputs, h.wait = outputs, wait
	job := ingest.Job{Source: id, Done: h.job == ""}
	for _, name := range outputs {
		job.Outputs = append(job.Outputs, ingest.Output{Name: name, Done: h.job == "", Job: h.job, Err: h.err})
	}
	return job, nil
}

const uploadKeyOfTests = "a key for uploads"

// newNamespaces is an edge with namespaces.
func newNamespaces(t testing.TB) (*edge, *hasher) {
	e, h := newEdge(t), &hasher{}
	e.proxy.Rules, e.proxy.Hashes = allNamespaces(t), h
	e.proxy.Admission = NewAdmission(false, []string{uploadKeyOfTests})
	return e, h
}

func TestUploadHashed(t *testing.T) {
	e, h := newNamespaces(t)
	key := []string{"Authorization", "Bearer " + uploadKeyOfTests}
	const facts = `{"hash":"6e0072682e66287b662827da75b244a3","height":5,"width":7,"content_type":"image/png"`
	got := e.send("POST", "/photos", strings.NewReader("a picture"), key...)
	got.want(t, 200, "Content-Type", "application/json", "Cache-Control", "no-store")
	if got.body != facts+"}\n" || h.body != "a picture" || h.upload.Namespace != "photos" || h.outputs != nil || h.upload.Policy.KeepMetadata {
		t.Errorf("answered %q to %q, %+v", got.body, h.body, h)
	}
	got = e.send("POST", "/photos?outputs=,x20.jpg,w30-q5,x20.jpg,&wait=true", strings.NewReader("a picture"), key...)
	if want := facts + `,"outputs":[{"name":"x20.jpg","done":true},{"name":"w30-q5","done":true}]}` + "\n"; got.body != want || !h.wait {
		t.Errorf("answered %q, want %q, and waited %v", got.body, want, h.wait)
	}
	e.send("POST", "/photos?source=https://example.com/a.jpg&outputs=x20.jpg", strings.NewReader("a picture"), key...).want(t, 200)
	if h.body != "what lies at https://example.com/a.jpg" || h.wait {
		t.Errorf("took %q, and waited %v", h.body, h.wait)
	}
	if diff := cmp.Diff([]string{"x20.jpg"}, h.outputs); diff != "" {
		t.Error(diff)
	}
	h.err = ingest.ErrCollision
	e.send("POST", "/photos", strings.NewReader("a picture"), key...).want(t, problemOf(h.err).Status, "Connection", "")
}

// TestUploadHashedLate: who may not upload, or asks for what is not there, has nothing read.
func TestUploadHashedLate(t *testing.T) {
	e, h := newNamespaces(t)
	for _, test := range []struct {
		target string
		key    string
		status int
	}{
		{"/photos", "", 401}, {"/photos", "another key", 401}, {"/photos?outputs=x20.auto", uploadKeyOfTests, 400},
		{"/photos?outputs=cat.jpg", uploadKeyOfTests, 404}, {"/photos?wait=1", uploadKeyOfTests, 400}, {hashed + "/process?outputs=x20.jpg", "", 401},
	} {
		e.send("POST", test.target, strings.NewReader("a picture"), "X-API-Key", test.key).want(t, test.status)
	}
	if h.body != "" || h.outputs != nil || h.upload.Body != nil {
		t.Errorf("it was asked nevertheless: %+v", h)
	}
	e.send("POST", "/photos", strings.NewReader("a picture"), "X-Token", "a token").want(t, 200)
	if e.uploads.upload.ID != "photos" || h.body != "" {
		t.Errorf("an upload with a token went elsewhere: %+v", e.uploads.upload)
	}
}

// TestOpenAdmission: what is open needs nothing, unless uploads are to be signed.
func TestOpenAdmission(t *testing.T) {
	e, _ := newNamespaces(t)
	e.proxy.Admission = NewAdmission(true, nil)
	e.send("POST", "/photos", strings.NewReader("a picture")).want(t, 200)
	e.proxy.Signed.Uploads = true
	e.send("POST", "/photos", strings.NewReader("a picture")).want(t, 401)
	e.proxy.Signed.Uploads, e.proxy.Admission = false, Admission{}
	e.send("POST", "/photos", strings.NewReader("a picture"), "Authorization", "Bearer ").want(t, 401)
}

func TestReadOutput(t *testing.T) {
	rules := allNamespaces(t)
	for name, want := range map[string]string{
		"300x200.webp": "_300_200.webp?fit=crop", "x20": "_20_20.jpg?fit=crop", "MI.webp": "_400_400.webp?quality=90", "full_size-q3.jpg": ".jpg?quality=3",
	} {
		if got, err := rules.ReadOutput(name); err != nil || got.String() != want {
			t.Errorf("%s is %s, %v; want %s", name, got, err, want)
		}
	}
	for _, bad := range []string{"", "cat.jpg", "x20.auto", "x20.zzz", "XX.jpg", "info.json", "c1_2_3_4.jpg", "MI", "../x20.jpg", "MI.zzz"} {
		if got, err := rules.ReadOutput(bad); err == nil {
			t.Errorf("%q is %s", bad, got)
		}
	}
}

// TestProcessAgain: the answer says how far it is, and where it is being made.
func TestProcessAgain(t *testing.T) {
	e, h := newNamespaces(t)
	key := []string{"Authorization", "Bearer " + uploadKeyOfTests}
	h.job = "j1"
	if got := e.send("POST", hashed+"/process?outputs=x20.jpg", nil, key...); got.body != `{"done":false,"outputs":[{"name":"x20.jpg","done":false,"job":"j1"}]}`+"\n" {
		t.Errorf("under way: %q", got.body)
	}
	h.job = ""
	if got := e.send("POST", hashed+"/process?outputs=x20.jpg", nil, key...); got.body != `{"done":true,"outputs":[{"name":"x20.jpg","done":true}]}`+"\n" {
		t.Errorf("made: %q", got.body)
	}
}

// TestLook: what is made is found in a tier, and nothing is rendered for it.
func TestLook(t *testing.T) {
	e, _ := newNamespaces(t)
	e.keep(hashed[1:], cat())
	look := func(output string, want bool) ingest.Rendered {
		t.Helper()
		made, there, err := e.proxy.Look(t.Context(), hashed[1:], output)
		if err != nil || there != want {
			t.Errorf("%s: %+v, %v, %v; want %v", output, made, there, err, want)
		}
		return made
	}
	look("w30-q70.webp", false)
	if n := e.engine.renders.Load(); n != 0 {
		t.Errorf("%d renders", n)
	}
	made, err := e.proxy.Render(t.Context(), hashed[1:], "w30-q70.webp")
	if err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(10 * time.Second); time.Now().Before(late); time.Sleep(time.Millisecond) { // memory takes it a moment later
		if _, there, _ := e.proxy.Look(t.Context(), hashed[1:], "w30-q70.webp"); there {
			break
		}
	}
	if found := look("w30-q70.webp", true); found != made {
		t.Errorf("found %+v, made %+v", found, made)
	}
	look("w31-q70.webp", false)
	if found := look("full_size.jpg", true); found.Width != 64 || found.Height != 48 {
		t.Errorf("the source itself: %+v", found)
	}
	if _, _, err := e.proxy.Look(t.Context(), "absent", "x20.jpg"); problemOf(err).Status != 404 {
		t.Errorf("of nothing: %v", err)
	}
	if _, there, err := e.proxy.Look(t.Context(), hashed[1:], "cat.jpg"); err == nil || there {
		t.Errorf("no variant: %v, %v", there, err)
	}
}

// TestRender: what is rendered ahead is what a viewer finds.
func TestRender(t *testing.T) {
	e, _ := newNamespaces(t)
	e.keep(hashed[1:], cat())
	for range 2 {
		made, err := e.proxy.Render(t.Context(), hashed[1:], "w30-q70.webp")
		if err != nil || made.Format != "webp" || made.Width != 30 || made.Quality != 70 || made.Bytes == 0 {
			t.Fatalf("%+v, %v", made, err)
		}
	}
	e.do("GET", hashed+"/w30-q70.webp").want(t, 200, "Cache-Status", "hit; detail=memory")
	if n := e.engine.renders.Load(); n != 1 {
		t.Errorf("%d renders, want 1", n)
	}
	made, err := e.proxy.Render(t.Context(), hashed[1:], "full_size.jpg")
	if want := (ingest.Rendered{Format: "jpeg", Width: 64, Height: 48, Bytes: int64(len(cat()))}); err != nil || made != want {
		t.Errorf("the source itself: %+v, %v", made, err)
	}
	for output, status := range map[string]int{"w5000.jpg": 400, "x20.jxl": 400, "cat.jpg": 404} {
		if _, err := e.proxy.Render(t.Context(), hashed[1:], output); err == nil || problemOf(err).Status != status {
			t.Errorf("%s: %v, want a %d", output, err, status)
		}
		if err := e.proxy.Check(output); err == nil || problemOf(err).Status != status {
			t.Errorf("%s is checked as %v, want a %d", output, err, status)
		}
	}
	if err := e.proxy.Check("w30-q70.webp"); err != nil {
		t.Error(err)
	}
	if _, err := e.proxy.Render(t.Context(), "absent", "x20.jpg"); problemOf(err).Status != 404 {
		t.Errorf("of nothing: %v", err)
	}
}

// TestCompatDraining: a server that is stopping says so as the systems do.
func TestCompatDraining(t *testing.T) {
	e, _ := newNamespaces(t)
	e.proxy.ImageServer, e.proxy.C2C = true, &C2C{Now: time.Now}
	e.do("GET", "/status_check").want(t, 200)
	e.do("GET", "/ping").want(t, 200)
	e.proxy.Drain()
	status, ping := e.do("GET", "/status_check"), e.do("GET", "/ping")
	status.want(t, 501)
	ping.want(t, 503)
	if status.body != "{\n  \"message\": \"Shutting down\"\n}\n" || ping.body != "Server is shutting down" || !ping.Close {
		t.Errorf("%q and %q, closed %v", status.body, ping.body, ping.Close)
	}
}
