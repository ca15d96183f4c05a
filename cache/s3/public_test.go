package s3

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"deckle/cache"
	"deckle/internal/testserver"
)

// TestPublic walks a copy through its life on a real server.
func TestPublic(t *testing.T) {
	ctx := context.Background()
	server := testserver.S3(t)
	server.SetCredentials(t)
	bucket := server.Bucket(t)
	tier := open(t, server.URL(bucket))
	public, err := tier.Public("public, max-age=60")
	if err != nil {
		t.Fatal(err)
	}
	key := func(source string) cache.Key { return cache.Key{Source: source, Version: "1", Variant: "_3_4.webp"} }
	entry := cache.NewEntry(cache.Entry{Body: []byte("a picture"), ContentType: "image/webp"})
	check := func(source string, there bool) {
		t.Helper()
		path, ok := public.Find(ctx, key(source))
		if ok != there {
			t.Errorf("%s: found %v, want %v", source, ok, there)
		}
		if ok && !strings.HasSuffix(path, "/"+cache.VariantName(key(source))) {
			t.Errorf("%s is at %s", source, path)
		}
	}
	// A source called public, and others, in the tier as well: neither is taken for the other.
	for _, source := range []string{"shop/cat", "shop/dog", "public", "kätzchen"} {
		check(source, false)
		if err := public.Set(ctx, key(source), entry); err != nil {
			t.Fatal(err)
		}
		if err := tier.Set(ctx, key(source), entry); err != nil {
			t.Fatal(err)
		}
		check(source, true)
		if _, err := public.Get(ctx, key(source)); !errors.Is(err, cache.ErrMiss) {
			t.Errorf("Get: %v", err)
		}
	}
	stored, err := os.ReadFile(server.Path(bucket, "prefix/!public/shop!cat/"+cache.VariantName(key("shop/cat"))))
	if err != nil || string(stored) != "a picture" {
		t.Errorf("the copy is %q, %v", stored, err)
	}
	if err := tier.Purge(ctx, "public"); err != nil {
		t.Fatal(err)
	}
	if _, err := tier.Sweep(ctx, cache.Scope{All: true}); err != nil {
		t.Fatal(err)
	}
	public.known.Purge()
	check("shop/cat", true)
	if err := public.Purge(ctx, "shop/cat"); err != nil {
		t.Fatal(err)
	}
	check("shop/cat", false)
	check("shop/dog", true)
	if n, err := public.Sweep(ctx, cache.Scope{Prefix: "shop/"}); n != 1 || err != nil {
		t.Errorf("Sweep: %d, %v", n, err)
	}
	check("shop/dog", false)
	check("public", true)

	server.Stop() // what was seen a moment ago is believed, and what was not is not there
	check("public", true)
	public.known.Purge()
	begin := time.Now()
	check("public", false)
	check("kätzchen", false)
	if took := time.Since(begin); took > 3*findTimeout {
		t.Errorf("a bucket that is away cost %s", took)
	}
}
