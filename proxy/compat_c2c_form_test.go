package proxy

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"deckle/ingest"

	"github.com/google/go-cmp/cmp"
)

// twoFields is a multipart form with two fields, one of them twice, and a file.
func twoFields(t testing.TB) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	file, err := w.CreateFormFile("secret", "secret.txt")
	if err == nil {
		_, err = file.Write([]byte("a file is no field"))
	}
	err = errors.Join(err, w.WriteField("secret", "s"), w.WriteField("filenames", "a"), w.WriteField("filenames", "b"), w.Close())
	if err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.String()
}

func TestReadForm(t *testing.T) {
	multiType, multi := twoFields(t)
	list := []any{"a", "b"}
	tests := []struct {
		name, contentType, body string
		want                    c2cForm
		err                     *c2cRefusal
	}{
		{"JSON", "application/json; charset=utf-8", `{"secret":"s","filenames":["a","b"]}`, c2cForm{"secret": "s", "filenames": list}, nil},
		{"a form", "application/x-www-form-urlencoded", "secret=s&filenames=a&filenames=b", c2cForm{"secret": "s", "filenames": list}, nil},
		{"a form with brackets", "application/x-www-form-urlencoded", "secret=s&filenames[]=a", c2cForm{"secret": "s", "filenames": []any{"a"}}, nil},
		{"multipart", multiType, multi, c2cForm{"secret": "s", "filenames": list}, nil},
		{"nothing", "application/json", "", c2cForm{}, nil},
		{"a JSON array", "application/json", `[1]`, c2cForm{"secret": nil}, nil},
		{"text", "text/plain", `secret=s`, c2cForm{"secret": nil}, nil},
		{"a JSON scalar", "application/json", `7`, nil, errScalar},
		{"broken JSON", "application/json", `{secret}`, nil, errBadForm},
		{"a broken form", "application/x-www-form-urlencoded", "secret=%zz", nil, errBadForm},
		{"multipart without a boundary", "multipart/form-data", multi, nil, errBadForm},
		{"multipart cut off", multiType, multi[:len(multi)-10], nil, errBadForm},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := readForm(test.contentType, []byte(test.body))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if test.err == nil && err != nil || test.err != nil && !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
		})
	}
}

const anyPicture = "1795288247_3434917671.jpg"

func TestFormFields(t *testing.T) {
	for _, test := range []struct {
		form  c2cForm
		wrong string
	}{
		{c2cForm{"filename": anyPicture}, ""},
		{c2cForm{}, "filename: Required."},
		{c2cForm{"filename": 3.0}, "filename: Expected string, received number."},
		{c2cForm{"filename": nil}, "filename: Expected string, received null."},
		{c2cForm{"filename": []any{}}, "filename: Expected string, received array."},
		{c2cForm{"filename": map[string]any{}}, "filename: Expected string, received object."},
		{c2cForm{"filename": true}, "filename: Expected string, received boolean."},
		{c2cForm{"filename": "../" + anyPicture}, "filename: Invalid input."},
		{c2cForm{"filename": "1795288247_3434917671BI.jpg"}, "filename: Invalid input."},
		{c2cForm{"filename": "1795288247_3434917671.webp"}, "filename: Invalid input."},
		{c2cForm{"filename": "1795288247-3434917671.jpg"}, "filename: Invalid input."},
		{c2cForm{"filename": "179528824_3434917671.jpg"}, "filename: Invalid input."},
		{c2cForm{"filename": "1795288247_3434917671.jpg\n"}, "filename: Invalid input."},
		{c2cForm{"filename": "1795288247_343491767٣.jpg"}, "filename: Invalid input."},
	} {
		if id, _, wrong := test.form.key("filename"); wrong != test.wrong || (wrong == "") != (id == "1795288247_3434917671") {
			t.Errorf("%v: %q, %q, want %q", test.form, id, wrong, test.wrong)
		}
	}
	for _, test := range []struct {
		form  c2cForm
		ids   int
		wrong string
	}{
		{c2cForm{"filenames": anyPicture}, 1, ""},
		{c2cForm{"filenames": []any{anyPicture, "1795288247_0000000000.png", anyPicture}}, 2, ""},
		{c2cForm{}, 0, "filenames: Invalid input."},
		{c2cForm{"filenames": 3.0}, 0, "filenames: Invalid input."},
		{c2cForm{"filenames": []any{anyPicture, "cat.jpg"}}, 0, "filenames: Invalid input."},
		{c2cForm{"filenames": []any{}}, 0, "filenames: Array must contain at least 1 element(s)."},
	} {
		if ids, wrong := test.form.keys("filenames"); wrong != test.wrong || len(ids) != test.ids {
			t.Errorf("%v: %q, %q, want %q", test.form, ids, wrong, test.wrong)
		}
	}
	for _, test := range []struct {
		form  c2cForm
		turn  ingest.Turn
		wrong string
	}{
		{c2cForm{}, ingest.TurnRight, ""},
		{c2cForm{"rotation": "-90"}, ingest.TurnLeft, ""},
		{c2cForm{"rotation": "180"}, ingest.TurnOver, ""},
		{c2cForm{"rotation": 90.0}, ingest.TurnRight, ""},
		{c2cForm{"rotation": "45"}, 0, "rotation: Invalid enum value. Expected '-90' | '90' | '180', received '45'."},
		{c2cForm{"rotation": 0.5}, 0, "rotation: Invalid enum value. Expected '-90' | '90' | '180', received '0.5'."},
		{c2cForm{"rotation": true}, 0, "rotation: Expected '-90' | '90' | '180', received boolean."},
	} {
		if turn, wrong := test.form.turn(); turn != test.turn || wrong != test.wrong {
			t.Errorf("%v: %v, %q, want %v, %q", test.form, turn, wrong, test.turn, test.wrong)
		}
	}
}

func TestSecret(t *testing.T) {
	c := C2C{Secret: "a secret"}
	for shown, want := range map[string]bool{"a secret": true, "": false, "a secre": false, "a secret ": false, "A secret": false} {
		if c.knows(shown) != want {
			t.Errorf("%q: %v", shown, !want)
		}
	}
	if (&C2C{}).knows("") {
		t.Error("without a secret anybody is let in")
	}
}

func TestNewKey(t *testing.T) {
	c := C2C{Now: func() time.Time { return time.Unix(1795288247, 0) }}
	seen := map[string]bool{}
	for range 100 {
		key, err := c.newKey()
		if err != nil || !isKey(key) || seen[key] || !strings.HasPrefix(key, "1795288247_") {
			t.Fatalf("%q, %v", key, err)
		}
		seen[key] = true
	}
}

func TestFileOf(t *testing.T) {
	form := func(fields ...string) (contentType, body string) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for i := 0; i < len(fields); i += 2 {
			part, err := w.CreateFormFile(fields[i], "cat.jpg")
			if err == nil {
				_, err = part.Write([]byte(fields[i+1]))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return w.FormDataContentType(), b.String()
	}
	for _, test := range []struct {
		name   string
		fields []string
		want   string
		err    error
	}{
		{"a file", []string{"file", "meow"}, "meow", nil},
		{"among others", []string{"other", "woof", "file", "meow", "more", "moo"}, "meow", nil},
		{"an empty one", []string{"file", ""}, "", nil},
		{"none", []string{"other", "woof"}, "", errNoFile},
		{"two", []string{"file", "meow", "other", "woof", "file", "woof"}, "meow", errBadFile},
	} {
		contentType, body := form(test.fields...)
		file, err := fileOf(contentType, strings.NewReader(body))
		var got []byte
		if err == nil {
			got, err = io.ReadAll(file)
		}
		if string(got) != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
	contentType, body := form("file", "meow")
	file, err := fileOf(contentType, strings.NewReader(body[:len(body)-8]))
	if err == nil {
		_, err = io.ReadAll(file)
	}
	if err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a form that is cut off: %v", err)
	}
	if _, err := fileOf("text/plain", strings.NewReader("")); !errors.Is(err, errNoFile) {
		t.Errorf("no form: %v", err)
	}
}

// FuzzForm holds that what names sources names them within the grammar of keys, whatever was sent and however.
func FuzzForm(f *testing.F) {
	multiType, multi := twoFields(f)
	f.Add("application/json", `{"secret":"s","filename":"`+anyPicture+`","filenames":["`+anyPicture+`"],"rotation":90}`)
	f.Add("application/x-www-form-urlencoded", url.Values{"secret": {"s"}, "filenames[]": {anyPicture}}.Encode())
	f.Add(multiType, multi)
	key := regexp.MustCompile(`\A[0-9]{10}_[0-9]{10}\z`)
	f.Fuzz(func(t *testing.T, contentType, body string) {
		form, err := readForm(contentType, []byte(body))
		if err != nil {
			var refusal *c2cRefusal
			if !errors.As(err, &refusal) || refusal.status/100 != 4 {
				t.Fatalf("%v", err)
			}
			return
		}
		if id, _, wrong := form.key("filename"); (wrong == "") != key.MatchString(id) {
			t.Fatalf("%q, %q", id, wrong)
		}
		ids, wrong := form.keys("filenames")
		for _, id := range ids {
			if !key.MatchString(id) {
				t.Fatalf("%q", id)
			}
		}
		if (wrong == "") != (len(ids) > 0) {
			t.Fatalf("%q, %q", ids, wrong)
		}
		if turn, wrong := form.turn(); (wrong == "") != (turn != 0) {
			t.Fatalf("%v, %q", turn, wrong)
		}
	})
}
