package proxy

import (
	"mime"
	"testing"
	"unicode/utf8"
)

func TestDisposition(t *testing.T) {
	for name, want := range map[string]string{
		"cat.webp":       `attachment; filename="cat.webp"`,
		"my cat;(1).jpg": `attachment; filename="my cat;(1).jpg"`,
		`say "hi".jpg`:   `attachment; filename="say _hi_.jpg"; filename*=UTF-8''say%20%22hi%22.jpg`,
		"50%25.jpg":      `attachment; filename="50_25.jpg"; filename*=UTF-8''50%2525.jpg`,
		"Kätzchen.png":   `attachment; filename="K_tzchen.png"; filename*=UTF-8''K%C3%A4tzchen.png`,
		"猫's €.png":      `attachment; filename="_'s _.png"; filename*=UTF-8''%E7%8C%AB%27s%20%E2%82%AC.png`,
	} {
		if got := disposition(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// FuzzDisposition: whatever name is accepted, a reader of the header finds it again, and nothing beside it.
func FuzzDisposition(f *testing.F) {
	for _, name := range []string{"cat.webp", `a"b\c`, "Kätzchen", "a\r\nSet-Cookie: x", "%41", "\u202egpj.exe", "\xff", "a;filename=b"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		var r Request
		if err := r.setDownload(name); err != nil {
			return
		}
		header := disposition(name)
		for _, c := range []byte(header) {
			if c < ' ' || c >= 0x7f {
				t.Fatalf("%q gives a header with byte %#x", name, c)
			}
		}
		kind, parameters, err := mime.ParseMediaType(header)
		if err != nil || kind != "attachment" || len(parameters) != 1 || parameters["filename"] != name || !utf8.ValidString(name) {
			t.Fatalf("%q is read as %q %q, %v", name, kind, parameters, err)
		}
	})
}

// TestDownload: the name changes the header, and neither the picture nor its key.
func TestDownload(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	shown := e.do("GET", "/cat_30_20.webp")
	shown.want(t, 200, "Content-Disposition", "")
	saved := e.do("GET", "/cat_30_20.webp?download=Mieze%20%E2%82%AC.webp")
	saved.want(t, 200, "Content-Disposition", `attachment; filename="Mieze _.webp"; filename*=UTF-8''Mieze%20%E2%82%AC.webp`,
		"Cache-Status", "Deckle; ", "Etag", shown.Header.Get("Etag"))
	e.do("GET", "/cat.jpg?download=cat.jpg").want(t, 200, "Content-Disposition", `attachment; filename="cat.jpg"`, "Cache-Status", "original")
	e.do("HEAD", "/cat_30_20.webp?download=a").want(t, 200, "Content-Disposition", `attachment; filename="a"`)
	e.do("GET", "/dog_30_20.webp?download=a").want(t, 404, "Content-Disposition", "")
	e.do("GET", "/cat_30_20.webp?download=a%0d%0ab").want(t, 400, "Content-Disposition", "")
	if n := e.engine.renders.Load(); n != 1 {
		t.Errorf("%d renders, want 1", n)
	}
}
