package admin

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// TestFormWithoutEnd: parts count, whatever little they say, so that a form is refused long before it has filled the memory.
func TestFormWithoutEnd(t *testing.T) {
	for name, part := range map[string]string{
		"parts that say nothing": "--b\r\n\r\n\r\n",
		"parts without names":    "--b\r\nContent-Disposition: form-data\r\n\r\n\r\n",
		"long headers":           "--b\r\nX: " + strings.Repeat("x", 4000) + "\r\n\r\n\r\n",
	} {
		body := strings.NewReader(strings.Repeat(part, 10_000) + "--b--\r\n")
		whole := body.Len()
		_, err := newUpload("multipart/form-data; boundary=b", url.Values{}, body, ourWords)
		var said *problem
		if !errors.As(err, &said) || !strings.Contains(fmt.Sprint(err), "too many") {
			t.Errorf("%s: %v", name, err)
		}
		if read := whole - body.Len(); read > 1<<20 {
			t.Errorf("%s: %d bytes of %d were read", name, read, whole)
		}
	}
	form := bytes.NewBufferString("--b\r\nContent-Disposition: form-data; name=\"tags\"\r\n\r\nsea\r\n--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nx\r\n--b--\r\n")
	if u, err := newUpload("multipart/form-data; boundary=b", url.Values{}, form, ourWords); err != nil || u.fields.Get("tags") != "sea" {
		t.Errorf("a small form: %+v, %v", u, err)
	}
}
