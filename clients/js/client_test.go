package js

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deckle/proxy"
	"deckle/signature"
	"deckle/transform"

	"github.com/google/go-cmp/cmp"
)

// node runs Node.js in a folder and returns what it prints.
func node(t *testing.T, folder, input string, args ...string) string {
	t.Helper()
	command := exec.Command("node", args...)
	command.Dir, command.Stdin = folder, strings.NewReader(input)
	printed, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v (make testtools installs what is missing)\n%.8000s", command, err, printed)
	}
	return string(printed)
}

// TestModule runs the module's own tests.
func TestModule(t *testing.T) {
	t.Parallel()
	if printed := node(t, ".", "", "--test"); !strings.Contains(printed, "# fail 0") || strings.Contains(printed, "# pass 0") {
		t.Errorf("%s", printed)
	}
}

// wanted is a picture as both sides are asked for it.
type wanted struct {
	ID      string         `json:"id"`
	Options map[string]any `json:"options"`
	How     map[string]any `json:"how,omitempty"`
	Scoped  bool           `json:"scoped,omitempty"`
}

// build has the module build the URLs of pictures.
func build(t *testing.T, pictures []wanted) []*url.URL {
	t.Helper()
	var input bytes.Buffer
	for _, picture := range pictures {
		if err := json.NewEncoder(&input).Encode(picture); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(node(t, ".", input.String(), "testdata/build.js")), "\n")
	if len(lines) != len(pictures) {
		t.Fatalf("%d URLs for %d pictures: %.2000s", len(lines), len(pictures), lines)
	}
	urls := make([]*url.URL, len(lines))
	for i, line := range lines {
		u, err := url.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		urls[i] = u
	}
	return urls
}

// choices are values of each option as JavaScript takes them, and as a URL spells them.
var choices = map[string][]struct {
	js      any
	spelled string
}{
	"fit":        {{"crop", "crop"}, {"canvas", "canvas"}, {"cover", "cover"}, {"stretch", "stretch"}, {"clip", "clip"}},
	"gravity":    {{"north", "north"}, {"attention", "attention"}, {map[string]any{"x": 1.0 / 3, "y": 0.0000001}, "fp:0.333333:0"}, {map[string]any{"x": 1, "y": 0.25}, "fp:1:0.25"}},
	"enlarge":    {{true, "true"}, {false, "false"}, {"true", "true"}},
	"crop":       {{[]int{1, 2, 30, 40}, "1,2,30,40"}, {map[string]any{"x0": 0, "y0": 0.1, "x1": 0.5, "y1": 1}, "0:0.1:0.5:1"}},
	"trim":       {{0, "0"}, {10, "10"}},
	"rotate":     {{0, "0"}, {90, "90"}, {270, "270"}},
	"flip":       {{"h", "h"}, {"hv", "hv"}},
	"quality":    {{"auto", "auto"}, {1, "1"}, {82, "82"}},
	"max_bytes":  {{20000, "20000"}, {100, "100"}},
	"blur":       {{true, "true"}, {false, "false"}, {0.3, "0.3"}, {12.345, "12.35"}, {100, "100"}},
	"sharpen":    {{false, "false"}, {1.5, "1.5"}, {10, "10"}},
	"brightness": {{0, "0"}, {200, "200"}},
	"contrast":   {{90, "90"}},
	"saturation": {{100, "100"}, {0, "0"}},
	"gray":       {{true, "true"}, {false, "false"}},
	"background": {{"#fff", "fff"}, {"white", "white"}, {"a0f080", "a0f080"}},
	"page":       {{1, "1"}, {9999, "9999"}},
	"animate":    {{false, "false"}, {true, "auto"}, {"auto", "auto"}},
	"watermark":  {{"logo", "logo"}, {map[string]any{"name": "my_logo", "gravity": "north", "scale": 0.5, "opacity": 0.75}, "my_logo,north,0.5,0.75"}},
	"lossless":   {{true, "true"}, {false, "false"}},
}

// camel is the name of an option in JavaScript.
func camel(name string) string {
	first, second, found := strings.Cut(name, "_")
	if !found {
		return name
	}
	return first + strings.ToUpper(second[:1]) + second[1:]
}

// TestOptions holds that every option of the table is one of the module, and that what it builds parses to the Spec that the same
// values make in Go.
func TestOptions(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 7))
	pick := func(n int) int { return random.IntN(n) }
	ids := []string{"cat", "photo_300_200", "photo_10_20_2x", "shop/größe/猫_1", "IMG_20261121_142301", "a.b~c-d/e.jpg", "ไทย/हिन्दी", "9_9"}
	formats := []string{"webp", "png", "avif", "auto", "jpg", "jxl"}
	var pictures []wanted
	var want []proxy.Request
	for _, option := range transform.Options() {
		if len(choices[option.Name]) == 0 {
			t.Fatalf("option %s is not tried here", option.Name)
		}
	}
	for range 1500 {
		picture := wanted{ID: ids[pick(len(ids))], Options: map[string]any{}}
		format := formats[pick(len(formats))]
		spelled, query := "", url.Values{}
		if pick(3) > 0 {
			w, h, ratios := pick(900), pick(900)+1, []string{"", "1", "2", "1.5", "0.75"}
			ratio := ratios[pick(len(ratios))]
			picture.Options["width"], picture.Options["height"] = w, h
			spelled = fmt.Sprintf("_%d_%d", w, h)
			if ratio != "" {
				picture.Options["dpr"] = json.Number(ratio)
				spelled += "_" + ratio + "x"
			}
		}
		picture.Options["format"] = format
		for _, option := range transform.Options() {
			if pick(6) > 0 {
				continue
			}
			choice := choices[option.Name][pick(len(choices[option.Name]))]
			picture.Options[camel(option.Name)] = choice.js
			query.Set(option.Name, choice.spelled)
		}
		spec, err := transform.Parse(spelled + "." + format + "?" + query.Encode())
		if err != nil {
			continue // an impossible combination, such as a lossless JPEG
		}
		pictures = append(pictures, picture)
		want = append(want, proxy.Request{Source: picture.ID, Spec: spec, Sized: spec.Size() != "", Dense: strings.HasSuffix(spelled, "x")})
	}
	if len(pictures) < 800 {
		t.Fatalf("only %d combinations are possible", len(pictures))
	}
	for i, u := range build(t, pictures) {
		got, err := proxy.ParseRequest(u.EscapedPath(), u.RawQuery, proxy.Rules{})
		if err != nil {
			t.Errorf("%s: %v", u, err)
			continue
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("%+v became %s:\n%s", pictures[i], u, diff)
		}
	}
}

// TestAnswers tries what is about the answer and no part of a Spec.
func TestAnswers(t *testing.T) {
	t.Parallel()
	pictures := []wanted{
		{ID: "cat", Options: map[string]any{"format": "json"}},
		{ID: "photo_1_2", Options: map[string]any{"format": "json"}},
		{ID: "cat", Options: map[string]any{"format": "jpg", "download": "größe & co,1:2.jpg", "version": 3, "bytes": true}},
		{ID: "cat", Options: map[string]any{"format": "jpg", "placeholder": "blurhash"}},
	}
	want := []proxy.Request{
		{Source: "cat", Want: proxy.WantInfo},
		{Source: "photo_1_2", Want: proxy.WantInfo},
		{Source: "cat", Spec: transform.Spec{Format: transform.JPEG}, Download: "größe & co,1:2.jpg", Versioned: true, Bytes: true},
		{Source: "cat", Spec: transform.Spec{Format: transform.JPEG}, Want: proxy.WantBlurHash},
	}
	for i, u := range build(t, pictures) {
		got, err := proxy.ParseRequest(u.EscapedPath(), u.RawQuery, proxy.Rules{Ignore: []string{"v"}})
		if err != nil {
			t.Fatalf("%s: %v", u, err)
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("%s:\n%s", u, diff)
		}
	}
}

// TestSignatures holds what the module signs to what the server checks, and to what it would have signed itself.
func TestSignatures(t *testing.T) {
	t.Parallel()
	const secret = "a secret of these tests, 32 bytes"
	verifier, err := signature.New(signature.Config{Secrets: []string{secret}, MaxAge: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	expires := time.Now().Add(time.Minute)
	how := map[string]any{"secret": secret, "expires": expires.Unix()}
	var pictures []wanted
	for _, id := range []string{"cat", "shop/größe/猫", "a_300_200"} {
		for _, scoped := range []bool{false, true} {
			pictures = append(pictures, wanted{ID: id, Options: map[string]any{"width": 30, "fit": "crop"}, How: how, Scoped: scoped})
		}
	}
	for i, u := range build(t, pictures) {
		request := signature.Request{Method: "GET", Path: u.EscapedPath(), Source: pictures[i].ID, Query: u.RawQuery}
		if _, err := verifier.Check(request); err != nil {
			t.Errorf("%s: %v", u, err)
		}
		scope := ""
		if pictures[i].Scoped {
			scope = "/" + pictures[i].ID
			request.Path = "/" + (&url.URL{Path: pictures[i].ID}).EscapedPath() + "_600_0_2x.avif"
			if _, err := verifier.Check(request); err != nil {
				t.Errorf("%s does not serve %s: %v", u, request.Path, err)
			}
		}
		parameters := signature.Query(secret, "GET", u.Path, scope, expires)
		for name, value := range must(url.ParseQuery(parameters)) {
			if u.Query().Get(name) != value[0] {
				t.Errorf("%s: %s is not %s", u, name, value[0])
			}
		}
		request.Method = "POST"
		if _, err := verifier.Check(request); err == nil {
			t.Errorf("%s is good for POST", u)
		}
	}
}

func must(values url.Values, err error) url.Values {
	if err != nil {
		panic(err)
	}
	return values
}

// TestPublished holds the package to its shape: what it exports is there, has types, and is among the files that are published.
func TestPublished(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	var module struct {
		Files        []string
		Exports      map[string]any
		Dependencies map[string]string
	}
	if err := json.Unmarshal(text, &module); err != nil {
		t.Fatal(err)
	}
	if len(module.Dependencies) > 0 {
		t.Errorf("it depends on %v", module.Dependencies)
	}
	published := map[string]bool{"./package.json": true}
	for _, file := range module.Files {
		published["./"+file] = true
	}
	for name, exported := range module.Exports {
		targets, _ := exported.(map[string]any)
		if one, plain := exported.(string); plain {
			targets = map[string]any{"default": one}
		}
		for kind, target := range targets {
			if _, err := os.Stat(filepath.FromSlash(target.(string))); err != nil || !published[target.(string)] {
				t.Errorf("%s: %s %s is not published: %v", name, kind, target, err)
			}
		}
	}
	if listing := node(t, ".", "", "-e", `process.stdout.write(Object.keys(await import("deckle-client")).join())`, "--input-type=module"); listing != "deckle,encodeID,fromQuery,path" {
		t.Errorf("it exports %s", listing)
	}
}
