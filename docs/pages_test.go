package docs

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"deckle/proxy"
)

// block is a piece of code of a page: the language, and the text.
var block = regexp.MustCompile("(?s)```([a-z]+)\n(.*?)```")

// stand are the frameworks' sides of the samples: each line of output is a URL.
const stand = `
import next from "./image-loader.js";
import nuxt from "./providers/deckle.js";
import astro from "./src/image-service.js";
import nextConfig from "./next.config.js";
import nuxtConfig from "./nuxt.config.js";
import astroConfig from "./astro.config.mjs";

if (nextConfig.images.loaderFile !== "./image-loader.js") throw new Error("next.config.js");
console.log(next({ src: "/shop/hat?fit=crop&gravity=north", width: 640, quality: 75 }));

const { options } = nuxtConfig.image.providers.deckle;
console.log(nuxt.getImage("/shop/hat", { modifiers: { width: "300", height: 200, fit: "cover", quality: 60 }, ...options }).url);
console.log(nuxt.getImage("/shop/hat", { modifiers: { format: "webp" }, ...options }).url);

const { service } = astroConfig.image;
const image = { src: "/shop/hat", width: 300, height: 200, format: "jpeg", quality: "80", fit: "cover" };
console.log(astro.getURL(astro.validateOptions(image), { service }));
for (const { transform, descriptor } of astro.getSrcSet({ ...image, widths: [600], densities: ["2x", 1.5] })) {
  console.log(astro.getURL(transform, { service }), descriptor);
}
const { src, alt, loading } = astro.getHTMLAttributes({ ...image, alt: "A hat" });
if (src || alt !== "A hat" || loading !== "lazy") throw new Error("getHTMLAttributes");
`

// TestLoaders runs the samples for frameworks, with the frameworks' calls made by hand, and reads the URLs as the server does.
func TestLoaders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	samples := 0
	for _, b := range block.FindAllStringSubmatch(page(t), -1) {
		name, isFile := strings.CutPrefix(strings.SplitN(b[2], "\n", 2)[0], "// ")
		if b[1] == "js" && isFile {
			write(name, b[2])
			samples++
		}
	}
	if samples != 6 {
		t.Fatalf("%d samples, want 6", samples)
	}
	client, err := filepath.Abs("../clients/js")
	if err != nil {
		t.Fatal(err)
	}
	write("package.json", `{"type":"module"}`)
	write("node_modules/@nuxt/image/package.json", `{"name":"@nuxt/image","type":"module","exports":{"./runtime":"./runtime.js"}}`)
	write("node_modules/@nuxt/image/runtime.js", "export const defineProvider = (provider) => provider;")
	if err := os.Symlink(client, filepath.Join(dir, "node_modules", "deckle-client")); err != nil {
		t.Fatal(err)
	}
	write("stand.js", stand)
	command := exec.Command("node", "stand.js")
	command.Dir = dir
	printed, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v (make testtools installs what is missing)\n%s", err, printed)
	}
	got := strings.Split(strings.TrimSpace(string(printed)), "\n")
	want := []string{
		"/shop/hat_640_0.auto?fit=crop&gravity=north&quality=75",
		"/shop/hat_300_200.auto?fit=crop&quality=60",
		"/shop/hat.webp",
		"/shop/hat_300_200.jpg?fit=crop&quality=80",
		"/shop/hat_600_400.jpg?fit=crop&quality=80 600w",
		"/shop/hat_600_400.jpg?fit=crop&quality=80 2x",
		"/shop/hat_450_300.jpg?fit=crop&quality=80 1.5x",
	}
	if len(got) != len(want) {
		t.Fatalf("%d URLs, want %d:\n%s", len(got), len(want), printed)
	}
	for i := range want {
		if got[i] != "https://images.example.com"+want[i] {
			t.Errorf("%s, want %s", got[i], want[i])
		}
		parses(t, strings.Fields(got[i])[0])
	}
}

// TestMarkup reads every URL in the page's HTML as the server does.
func TestMarkup(t *testing.T) {
	t.Parallel()
	found := 0
	for _, b := range block.FindAllStringSubmatch(page(t), -1) {
		if b[1] != "html" {
			continue
		}
		for _, target := range regexp.MustCompile(`/shop/hat[^" ,]*`).FindAllString(b[2], -1) {
			parses(t, target)
			found++
		}
	}
	if found < 12 {
		t.Errorf("only %d URLs were found", found)
	}
}

func parses(t *testing.T, target string) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := proxy.ParseRequest(u.EscapedPath(), u.RawQuery, proxy.Rules{}); err != nil || r.Source != "shop/hat" {
		t.Errorf("%s is of %q: %v", target, r.Source, err)
	}
}

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("pages.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
