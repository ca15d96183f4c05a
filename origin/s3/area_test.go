package s3_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"deckle/internal/testserver"
	"deckle/origin"
	"deckle/origin/origintest"
)

func TestAreas(t *testing.T) {
	server := testserver.S3(t)
	server.SetCredentials(t)
	origintest.RunAreas(t, openStore(t, server.URL(server.Bucket(t))))
}

// TestPresignPut sends a source with what a browser has: the URL and the headers. The server takes it once.
func TestPresignPut(t *testing.T) {
	server := testserver.S3(t)
	server.SetCredentials(t)
	room, err := openStore(t, server.URL(server.Bucket(t))).Room(origin.Incoming, "cat")
	if err != nil {
		t.Fatal(err)
	}
	url, header, err := room.(origin.Presigner).PresignPut(t.Context(), "object", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	put := func(url string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader([]byte("body")))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = header.Clone()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		return response.StatusCode
	}
	if code := put(url + "0"); code != http.StatusForbidden {
		t.Errorf("with another signature: %d, want 403", code)
	}
	if code := put(url); code != http.StatusOK {
		t.Fatalf("%d, want 200", code)
	}
	if code := put(url); code != http.StatusPreconditionFailed {
		t.Errorf("a second time: %d, want 412", code)
	}
	if info, err := room.Stat(t.Context(), "object"); err != nil || info.Size != 4 {
		t.Errorf("stored: %+v, %v", info, err)
	}
	if _, _, err := room.(origin.Presigner).PresignPut(t.Context(), "../x", time.Minute); err == nil {
		t.Error("a bad id was signed")
	}
}
