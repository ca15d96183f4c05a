package main

import (
	"io"
	forms "mime/multipart"
	"testing"
	"time"
)

// streamedForm is formOf of a picture that is made while it is read, with a field before it and one behind it.
func streamedForm(picture io.Reader) (io.Reader, string) {
	from, to := io.Pipe()
	w := forms.NewWriter(to)
	go func() {
		_ = w.WriteField("file", "huge.png") // all of these fail when the reader has left
		part, _ := w.CreateFormFile("image", "huge.png")
		_, _ = io.Copy(part, picture)
		_ = w.WriteField("behind", "the picture")
		_ = to.CloseWithError(w.Close())
	}()
	return from, w.FormDataContentType()
}

// TestHugeImages: memory does not grow with a picture that comes with data, on either listener.
func TestHugeImages(t *testing.T) {
	const side, bound = 4700, 16.0 // 66 MB
	d := start(t, "--data", t.TempDir(), "--max-source-bytes", "100MiB", "--compat", "image-storage", "--open-library")
	for _, base := range []string{d.admin, d.edge} {
		send := func(side int) reply {
			body, contentType := streamedForm(hugePNG(side))
			return request("POST", base+"/images", body, "Content-Type", contentType)
		}
		if got := send(64); got.status >= 300 { // it warms up
			t.Fatalf("%d %v %s", got.status, got.err, got.body)
		}
		ended, before := make(chan reply, 1), d.anonymous()
		go func() { ended <- send(side) }()
		most, got := before, reply{}
		for got.status == 0 && got.err == nil {
			select {
			case got = <-ended:
			case <-time.After(10 * time.Millisecond):
			}
			most = max(most, d.anonymous())
		}
		said := into[struct{ Data struct{ Behind string } }](t, got)
		if got.status != 200 || said.Data.Behind != "the picture" {
			t.Errorf("%s: %d %v %s", base, got.status, got.err, got.body)
		}
		grew := float64(most-before) / (1 << 20)
		t.Logf("memory grew by %.1f MiB", grew)
		if before == 0 || grew > bound {
			t.Errorf("%s: memory grew by %.1f MiB, more than %.0f", base, grew, bound)
		}
	}
}
