package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/internal/testserver"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// browser opens a real Chromium, which reaches nothing but this machine. It is closed when the test ends. heard gets what the
// browser complains of, and where it sends requests.
func browser(t *testing.T, heard func(event any)) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, // tests may run as root, whom Chromium gives no sandbox
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"),
	)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("start chromium (make test installs it): %v", err)
	}
	_, noNetwork := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	_, noLog := chromedp.Call(ctx, cdplog.Enable, cdp.Empty{})
	if err := errors.Join(chromedp.Listen(ctx, heard), noNetwork, noLog); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// uploadPage is a page as an application might serve it: it draws a picture, asks its own backend for a grant, sends the
// picture straight to where the grant says, and shows the rendered result.
const uploadPage = `<!doctype html><title>upload</title><script>
async function send(way, body) {
  let answer = await fetch(way.url, { method: way.method, headers: way.headers, body });
  if (answer.ok && way.confirm) answer = await fetch(way.confirm.url, { method: way.confirm.method, headers: way.confirm.headers });
  return { status: answer.status, body: await answer.json() };
}
async function draw(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width; canvas.height = height;
  const context = canvas.getContext("2d");
  context.fillStyle = "#c02040"; context.fillRect(0, 0, width, height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}
async function show(url) {
  const image = new Image();
  image.crossOrigin = "anonymous"; // so that its pixels can be read below
  image.src = url;
  document.body.append(image);
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return { width: image.naturalWidth, height: image.naturalHeight, pixel: [...context.getImageData(5, 5, 1, 1).data] };
}
async function upload(how) {
  const grant = await (await fetch("/grant", { method: "POST" })).json();
  let body = await draw(600, 400);
  if (how === "form") { const form = new FormData(); form.append("image", body, "holiday.png"); body = form; }
  const sent = await send(how === "put" ? grant.put : grant.post, body);
  const shown = await show(grant.edge + "/" + grant.id + "_300_200.webp");
  return { status: sent.status, receipt: sent.body, shown, put: grant.put.url };
}
</script>`

// application serves the page and its backend, which alone talks to the operator's listener.
func application(t *testing.T, d *daemon) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, uploadPage) // the browser may have left
	})
	mux.HandleFunc("POST /grant", func(w http.ResponseWriter, _ *http.Request) {
		var given struct{ Grants []map[string]any }
		got := request("POST", d.admin+"/grants", strings.NewReader(`{"grants": [{}]}`))
		if err := json.Unmarshal(got.body, &given); err != nil || got.status != 200 || len(given.Grants) != 1 {
			t.Errorf("grant: %d %v %s", got.status, err, got.body)
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		answer := given.Grants[0]
		answer["edge"] = d.edge
		absolute(answer, d.edge)
		_ = json.NewEncoder(w).Encode(answer) // likewise
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// absolute puts the edge before the paths of a grant. A server with --edge-url does so by itself; here its port is not known
// before it has started.
func absolute(of map[string]any, edge string) {
	for name, value := range of {
		if path, ok := value.(string); ok && name == "url" && strings.HasPrefix(path, "/") {
			of[name] = edge + path
		}
		if inner, ok := value.(map[string]any); ok {
			absolute(inner, edge)
		}
	}
}

// uploadedByPage is what the page tells of one upload.
type uploadedByPage struct {
	Status  int
	Receipt receipt
	Shown   struct {
		Width, Height int
		Pixel         []int
	}
	Put string
}

func (u uploadedByPage) check(t *testing.T, status int) {
	t.Helper()
	if u.Status != status || u.Receipt.OriginalWidth != 600 || u.Receipt.OriginalHeight != 400 || u.Receipt.Format != "png" {
		t.Errorf("receipt: %+v", u)
	}
	if u.Shown.Width != 300 || u.Shown.Height != 200 || len(u.Shown.Pixel) != 4 {
		t.Fatalf("shown: %+v", u.Shown)
	}
	for i, want := range []int{0xc0, 0x20, 0x40, 0xff} {
		if got := u.Shown.Pixel[i]; got < want-12 || got > want+12 {
			t.Errorf("shown: pixel %v, want near c02040", u.Shown.Pixel)
		}
	}
}

func runUpload(ctx context.Context, t *testing.T, page, how string) (said uploadedByPage, err error) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Navigate(page)); err != nil {
		return said, err
	}
	return chromedp.Run(ctx, chromedp.Evaluate[uploadedByPage](fmt.Sprintf("upload(%q)", how), chromedp.EvalAwaitPromise))
}

// TestBrowserUpload: a page gets a grant from its own backend, uploads straight to the edge or to S3, and shows the result. It
// needs no secret in the page but the grant.
func TestBrowserUpload(t *testing.T) {
	s3server := testserver.S3(t)
	s3server.SetCredentials(t)
	bucket := s3server.Bucket(t)
	ctx := browser(t, func(any) {})
	for _, test := range []struct {
		name, how string
		flags     []string
		status    int
	}{
		{"form to the edge", "form", nil, 200},
		{"body to the edge", "post", nil, 200},
		{"put to the edge", "put", nil, 201},
		{"signed put to the edge", "put", []string{"--signed", "uploads", "--signing-secrets", "a-secret-of-sixteen-bytes"}, 201},
		{"presigned put to S3", "put", []string{"--origin", s3server.URL(bucket)}, 201},
	} {
		t.Run(test.name, func(t *testing.T) {
			// The page's origin has to be known to the edge, and the edge to the page's backend.
			d := &daemon{}
			app := application(t, d)
			stranger := application(t, d)
			*d = *start(t, append(test.flags, "--data", t.TempDir(), "--allowed-origins", app.URL)...)
			if test.flags != nil && test.flags[0] == "--origin" {
				allowPages(t, s3server, bucket, app.URL)
			}
			said, err := runUpload(ctx, t, app.URL, test.how)
			if err != nil {
				t.Fatal(err)
			}
			said.check(t, test.status)
			if toStore := strings.HasPrefix(said.Put, s3server.Endpoint); toStore != (test.flags != nil && test.flags[0] == "--origin") {
				t.Errorf("put to %s", said.Put)
			}
			if _, err := runUpload(ctx, t, stranger.URL, test.how); err == nil || !strings.Contains(err.Error(), "Failed to fetch") {
				t.Errorf("a page of another site: %v", err)
			}
		})
	}
}

// allowPages has the bucket answer browsers, as its owner must: https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
func allowPages(t *testing.T, server *testserver.S3Server, bucket, page string) {
	t.Helper()
	client := s3.New(s3.Options{
		BaseEndpoint: &server.Endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(server.AccessKey, server.SecretKey, ""),
	})
	_, err := client.PutBucketCors(context.Background(), &s3.PutBucketCorsInput{Bucket: &bucket, CORSConfiguration: &types.CORSConfiguration{
		CORSRules: []types.CORSRule{{AllowedOrigins: []string{page}, AllowedMethods: []string{"PUT"}, AllowedHeaders: []string{"*"}, MaxAgeSeconds: aws.Int32(60)}},
	}})
	if err != nil {
		t.Fatalf("allow pages to put into the bucket: %v", err)
	}
}

// TestBrowserDocs: the page at /docs shows every operation, breaks its own policy nowhere, and asks no other host.
func TestBrowserDocs(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--api-keys", "k3y")
	var described struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(request("GET", d.admin+"/openapi.json", nil).body, &described); err != nil {
		t.Fatal(err)
	}
	operations := 0
	for _, item := range described.Paths {
		operations += len(item)
	}
	var mu sync.Mutex
	var complaints, foreign []string
	ctx := browser(t, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *cdplog.EventEntryAdded:
			complaints = append(complaints, e.Entry.Text)
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, d.admin+"/") && !strings.HasPrefix(e.Request.URL, "data:") {
				foreign = append(foreign, e.Request.URL)
			}
		}
	})
	const list = "#operations-sources-list "
	err := chromedp.Do(ctx,
		chromedp.Navigate(d.admin+"/docs"),
		chromedp.WaitVisible(chromedp.CSSAll(".opblock"), chromedp.AtLeast(operations)),
		// The page's own button, with a key, calls the listener.
		chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Run(ctx, chromedp.Evaluate[any](`ui.preauthorizeApiKey("key", "k3y"); null`))
			return err
		}),
		chromedp.Click(chromedp.CSS(list+".opblock-summary-control")),
		chromedp.Click(chromedp.CSS(list+".try-out__btn")),
		chromedp.Click(chromedp.CSS(list+".execute")),
		chromedp.WaitVisible(chromedp.CSS(list+".live-responses-table .response-col_status")),
	)
	if err != nil {
		t.Fatal(err)
	}
	shown, noCount := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll(".opblock").length`))
	title, noTitle := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(".info .title")))
	answered, noAnswer := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(list+".live-responses-table tbody .response-col_status")))
	if err := errors.Join(noCount, noTitle, noAnswer); err != nil {
		t.Fatal(err)
	}
	if shown != operations || !strings.HasPrefix(title, "Deckle") || !strings.HasPrefix(strings.TrimSpace(answered), "200") {
		t.Errorf("%d operations of %d, title %q, GET /sources answered %q", shown, operations, title, answered)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(complaints) > 0 || len(foreign) > 0 {
		t.Errorf("the browser complains: %q; it asked elsewhere: %q", complaints, foreign)
	}
}
