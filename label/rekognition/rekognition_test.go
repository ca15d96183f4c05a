package rekognition

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"deckle/label"
)

const (
	accessKey = "AKIDEXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	region    = "eu-central-1"
	pixels    = "\xff\xd8 a picture"
)

func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_REGION": "", "AWS_PROFILE": "", "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

var picture = label.Picture{
	Source: "cat", Version: "v1", Width: 40, Height: 30,
	Large: func(context.Context) ([]byte, error) { return []byte(pixels), nil },
}

// double stands in for Rekognition: it speaks its JSON 1.1 protocol, and takes nothing that is not signed.
type double struct {
	t       *testing.T
	mu      sync.Mutex
	answers map[string]string         // by operation; "!Code" is an error of it
	asked   map[string]map[string]any // by operation: the request but for its picture
	calls   int
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Error(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	operation, ours := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "RekognitionService.")
	if !ours || r.Method != "POST" || r.URL.Path != "/" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		d.t.Errorf("asked with %s %s, %v", r.Method, r.URL, r.Header)
	}
	if err := checkSignature(r, body); err != nil {
		d.t.Error(err)
		fail(w, http.StatusForbidden, "InvalidSignatureException")
		return
	}
	var request struct {
		Image struct{ Bytes []byte }
	}
	rest := map[string]any{}
	if err := errors.Join(json.Unmarshal(body, &request), json.Unmarshal(body, &rest)); err != nil {
		d.t.Errorf("%s: %v", body, err)
	}
	if string(request.Image.Bytes) != pixels {
		d.t.Errorf("%s of %q", operation, request.Image.Bytes)
	}
	delete(rest, "Image")
	d.asked[operation] = rest
	if code, bad := strings.CutPrefix(d.answers[operation], "!"); bad {
		fail(w, http.StatusBadRequest, code)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_, _ = io.WriteString(w, d.answers[operation])
}

func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "8a9f5d6e")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"__type":%q,"Message":"no"}`, code)
}

// checkSignature signs the request anew by what its header says was signed, as AWS does, and compares.
func checkSignature(r *http.Request, body []byte) error {
	sent := r.Header.Get("Authorization")
	_, list, _ := strings.Cut(sent, "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	for _, needed := range []string{"host", "x-amz-date", "x-amz-target"} {
		if !strings.Contains(";"+list+";", ";"+needed+";") {
			return fmt.Errorf("%s is not signed: %q", needed, sent)
		}
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > 5*time.Minute {
		return fmt.Errorf("signed at %q: %w", r.Header.Get("X-Amz-Date"), err)
	}
	again, err := http.NewRequest(r.Method, "http://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(list, ";") {
		if name != "host" && name != "content-length" {
			again.Header.Set(name, r.Header.Get(name))
		}
	}
	digest := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, again,
		hex.EncodeToString(digest[:]), "rekognition", region, at)
	if want := again.Header.Get("Authorization"); err != nil || sent != want {
		return fmt.Errorf("signed %q, want %q: %w", sent, want, err)
	}
	return nil
}

// answers are of the shapes that the service's reference shows.
func answers() map[string]string {
	return map[string]string{
		"DetectLabels": `{"Labels":[{"Name":"Mountain Range","Confidence":98.4629,"Instances":[],"Parents":[{"Name":"Outdoors"}]},
			{"Name":"Dog","Confidence":71.25,"Instances":[{"BoundingBox":{"Width":0.1,"Height":0.2,"Left":0.3,"Top":0.4},"Confidence":71.25}]}],"LabelModelVersion":"3.0"}`,
		"DetectFaces": `{"FaceDetails":[{"Confidence":99.9,"BoundingBox":{"Width":0.1,"Height":0.2,"Left":0.3,"Top":0.4},
			"Smile":{"Value":false,"Confidence":95},"Gender":{"Value":"Female","Confidence":99.5},
			"Emotions":[{"Type":"CALM","Confidence":88},{"Type":"SAD","Confidence":9},{"Type":"UNKNOWN","Confidence":80}]},
			{"Confidence":97,"Smile":{"Value":true,"Confidence":90},"Gender":{"Value":"Female","Confidence":60},"Emotions":[{"Type":"CALM","Confidence":92}]}]}`,
		"RecognizeCelebrities":   `{"CelebrityFaces":[{"Name":"Ada Lovelace","Id":"1","MatchConfidence":100.00001,"Urls":[]},{"Name":"Somebody","MatchConfidence":55}],"UnrecognizedFaces":[]}`,
		"DetectModerationLabels": `{"ModerationLabels":[{"Name":"Violence","ParentName":"","Confidence":91.5,"TaxonomyLevel":1}],"ModerationModelVersion":"7.0"}`,
		"DetectText": `{"TextDetections":[{"DetectedText":"Mind the GAP","Type":"LINE","Id":0,"Confidence":99},
			{"DetectedText":"Mind","Type":"WORD","Id":1,"ParentId":0,"Confidence":99},{"DetectedText":"blur","Type":"LINE","Id":2,"Confidence":40}]}`,
	}
}

var seventy = label.Thresholds{label.Object: 70, label.Face: 70, label.Celebrity: 70, label.Unsafe: 70, label.Text: 70}

// run has every detector of a service label the picture, and returns labels and errors by name.
func run(t *testing.T, c Config, d *double) (map[string][]label.Label, map[string]error) {
	t.Helper()
	d.t, d.asked = t, map[string]map[string]any{}
	server := httptest.NewServer(d)
	defer server.Close()
	c.Endpoint, c.Region = server.URL, region
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	labels, faults := map[string][]label.Label{}, map[string]error{}
	for _, l := range s.Labelers() {
		said, err := l.Label(t.Context(), picture)
		if err != nil {
			faults[l.Name] = err
			continue
		}
		labels[l.Name] = said
	}
	return labels, faults
}

func TestLabel(t *testing.T) {
	d := &double{answers: answers()}
	got, faults := run(t, Config{Thresholds: seventy}, d)
	want := map[string][]label.Label{
		"rekognition.objects":     {{Name: "mountain range", Category: label.Object, Confidence: 98.4629}, {Name: "dog", Category: label.Object, Confidence: 71.25}},
		"rekognition.faces":       {{Name: "face", Category: label.Face, Confidence: 99.9}, {Name: "female", Category: label.Face, Confidence: 99.5}, {Name: "calm", Category: label.Face, Confidence: 92}, {Name: "smile", Category: label.Face, Confidence: 90}},
		"rekognition.celebrities": {{Name: "ada lovelace", Category: label.Celebrity, Confidence: 100}},
		"rekognition.unsafe":      {{Name: "violence", Category: label.Unsafe, Confidence: 91.5}},
		"rekognition.text":        {{Name: "mind the gap", Category: label.Text, Confidence: 99}},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(faults) > 0 {
		t.Errorf("labels (-want +got):\n%s%v", diff, faults)
	}
	asked := map[string]map[string]any{
		"DetectLabels": {"MaxLabels": 20., "MinConfidence": 70.}, "DetectFaces": {"Attributes": []any{"ALL"}}, "RecognizeCelebrities": {},
		"DetectModerationLabels": {"MinConfidence": 70.}, "DetectText": {},
	}
	if diff := cmp.Diff(asked, d.asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestThresholds(t *testing.T) {
	d := &double{answers: answers()}
	got, _ := run(t, Config{Thresholds: label.Thresholds{label.Object: 90, label.Face: 5}, MaxObjects: 3, Detectors: []string{Objects, Faces}}, d)
	if len(got) != 2 || len(got["rekognition.objects"]) != 1 || len(got["rekognition.faces"]) != 5 {
		t.Errorf("labels: %v", got)
	}
	if diff := cmp.Diff(map[string]any{"MaxLabels": 3., "MinConfidence": 90.}, d.asked["DetectLabels"]); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

// TestFaults: a detector that fails is asked once, says what is the picture's fault, and loses no other's labels.
func TestFaults(t *testing.T) {
	d := &double{answers: answers()}
	d.answers["DetectFaces"] = "!ThrottlingException"
	d.answers["DetectText"] = "!InvalidImageFormatException"
	d.answers["DetectLabels"] = "this is no JSON"
	got, faults := run(t, Config{Thresholds: seventy}, d)
	if len(got) != 2 || len(faults) != 3 {
		t.Errorf("labels %v, faults %v", got, faults)
	}
	for name, refused := range map[string]bool{"rekognition.faces": false, "rekognition.text": true, "rekognition.objects": false} {
		err := faults[name]
		if err == nil || errors.Is(err, label.ErrRefused) != refused || strings.Contains(err.Error(), "8a9f5d6e") {
			t.Errorf("%s fails with %v; refused should be %v", name, err, refused)
		}
	}
	if d.calls != 5 {
		t.Errorf("%d calls for five detectors", d.calls)
	}
}

func TestTimeout(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // until then the server does not see that the client has left
		<-r.Context().Done()
	}))
	defer slow.Close()
	s, err := New(t.Context(), Config{Endpoint: slow.URL, Region: region, Timeout: 20 * time.Millisecond, Detectors: []string{Text}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Labelers()[0].Label(t.Context(), picture); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, label.ErrRefused) {
		t.Errorf("a service that hangs: %v", err)
	}
}

func TestNew(t *testing.T) {
	for name, c := range map[string]Config{"no region": {}, "unknown detector": {Region: region, Detectors: []string{"cars"}}} {
		if _, err := New(t.Context(), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
