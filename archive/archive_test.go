package archive

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var epoch = time.Date(2026, 11, 21, 12, 0, 0, 123e6, time.UTC)

// bytesOf are the bytes of the n-th picture.
func bytesOf(n int) []byte { return []byte(fmt.Sprintf("picture %d of some", n)) }

func pictureNo(n int) Picture {
	return Picture{
		ID: fmt.Sprintf("id-%d", n), File: fmt.Sprintf("folder/%d.jpg", n), Time: epoch, Created: epoch, Updated: epoch.Add(time.Second),
		Name: "n", Tags: []string{"a", "b"}, Labels: []Label{{"Cat", "object", 99.5, "eye"}}, Owner: "ann", Private: n%2 == 0,
		Data: json.RawMessage(fmt.Sprintf(`{"n":%d,"html":"<&>"}`, n)), SHA256: "00", MD5: "11", Bytes: 5, Format: "jpeg", Width: 3, Height: 4,
		Placeholder: "thumb", Version: "v",
	}
}

// write makes an archive with those pictures.
func write(t *testing.T, begin func(io.Writer, string) (*Writer, error), pictures []Picture) []byte {
	t.Helper()
	dir := t.TempDir()
	var b bytes.Buffer
	w, err := begin(&b, dir)
	must(t, err)
	for n, p := range pictures {
		path, to, err := w.Create(p, "jpg")
		must(t, err)
		_, err = to.Write(bytesOf(n))
		must(t, err)
		p.Path = path
		must(t, w.Record(p))
	}
	must(t, w.Close())
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) > 0 {
		t.Errorf("%d files were left", len(left))
	}
	return b.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, archive []byte) *Archive {
	t.Helper()
	a, err := Open(bytes.NewReader(archive), int64(len(archive)), DefaultLimits(1<<20))
	must(t, err)
	return a
}

func read(t *testing.T, a *Archive, name string) []byte {
	t.Helper()
	body, err := a.Open(name)
	must(t, err)
	got, err := io.ReadAll(body)
	must(t, errors.Join(err, body.Close()))
	return got
}

func TestRoundTrip(t *testing.T) {
	want := []Picture{pictureNo(0), pictureNo(1), {ID: "shop/x", Created: epoch, Updated: epoch, Time: epoch}}
	a := open(t, write(t, NewWriter, want))
	if a.Kind != Own || a.Len() != len(want) {
		t.Errorf("kind %d with %d pictures", a.Kind, a.Len())
	}
	n := 0
	must(t, a.Pictures(func(p Picture) error {
		if got := read(t, a, p.Path); !bytes.Equal(got, bytesOf(n)) {
			t.Errorf("%s holds %q", p.Path, got)
		}
		p.Path = ""
		if diff := cmp.Diff(want[n], p); diff != "" {
			t.Errorf("picture %d (-want +got):\n%s", n, diff)
		}
		n++
		return nil
	}))
	if n != len(want) {
		t.Errorf("%d pictures", n)
	}
	if _, err := a.Open("files/absent"); !errors.Is(err, ErrNoEntry) {
		t.Errorf("absent: %v", err)
	}
}

func TestStorageForm(t *testing.T) {
	pictures := []Picture{pictureNo(0), pictureNo(1)}
	a := open(t, write(t, NewStorageWriter, pictures))
	if a.Kind != Storage {
		t.Fatalf("kind %d", a.Kind)
	}
	n := 0
	must(t, a.Pictures(func(p Picture) error {
		w := pictures[n]
		want := Picture{Path: w.File, ID: w.ID, File: w.File, Time: w.Time, Owner: w.Owner, Data: p.Data}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Errorf("document %d (-want +got):\n%s", n, diff)
		}
		if got := read(t, a, p.Path); !bytes.Equal(got, bytesOf(n)) {
			t.Errorf("%s holds %q", p.Path, got)
		}
		n++
		return nil
	}))
	book := open(t, read(t, a, StorageSheet))
	sheet := string(read(t, book, "xl/worksheets/sheet1.xml"))
	for _, text := range []string{">_id<", ">html<", ">id-1<", "&lt;&amp;&gt;"} {
		if !strings.Contains(sheet, text) {
			t.Errorf("the sheet has no %s", text)
		}
	}
}

// TestMongoForms reads documents as MongoDB's tools and that system's own export write them.
func TestMongoForms(t *testing.T) {
	archive := zipOf(t, entry{name: StorageName, body: `[
		{"_id":"5f0000000000000000000001","file":"a.jpg","time":"2026-11-21T12:00:00.123Z","data":{"a":1},"__v":0},
		{"_id":{"$oid":"5f0000000000000000000002"},"file":"/b.jpg","time":{"$date":"2026-11-21T12:00:00.123Z"},"data":null},
		{"_id":{"$oid":"5f0000000000000000000003"},"file":"c.jpg","time":{"$date":{"$numberLong":"1795262400123"}},"userId":"ann"},
		{"_id":"x","file":"d.jpg","time":null}]`})
	var got []Picture
	must(t, open(t, archive).Pictures(func(p Picture) error { got = append(got, p); return nil }))
	want := []Picture{
		{Path: "a.jpg", ID: "5f0000000000000000000001", File: "a.jpg", Time: epoch, Data: json.RawMessage(`{"a":1}`)},
		{Path: "b.jpg", ID: "5f0000000000000000000002", File: "b.jpg", Time: epoch},
		{Path: "c.jpg", ID: "5f0000000000000000000003", File: "c.jpg", Time: epoch, Owner: "ann"},
		{Path: "d.jpg", ID: "x", File: "d.jpg"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
}

func TestPaths(t *testing.T) {
	var names paths
	for _, test := range []struct {
		p    Picture
		want string
	}{
		{Picture{ID: "1", File: "a/b.jpg"}, "files/a/b.jpg"},
		{Picture{ID: "2", File: "A/B.jpg"}, "files/A/B~d4735e3a265e16ee.jpg"}, // one file where case does not count
		{Picture{ID: "3", File: "a/b.jpg", Owner: "ann/../x"}, "files/@ann_.._x/a/b.jpg"},
		{Picture{ID: "shop/4"}, "files/shop/4.jpg"},
		{Picture{ID: "5", File: "../../etc/passwd"}, "files/etc/passwd"},
		{Picture{ID: "6", File: `C:\con.txt`}, "files/C_/_con.txt"},
		{Picture{ID: "7", File: "\x00\n\u202ex."}, "files/___x"},
		{Picture{ID: "8", File: "..."}, "files/8.jpg"},
		{Picture{ID: "9", File: ".hidden/~x"}, "files/_.hidden/_~x"},
	} {
		if got := names.pathOf(test.p, "jpg"); got != test.want {
			t.Errorf("%q of %q: %s, want %s", test.p.File, test.p.Owner, got, test.want)
		}
	}
	long := names.pathOf(Picture{ID: "l", File: strings.Repeat("ä/", 400) + strings.Repeat("ö", 300) + ".jpg"}, "jpg")
	if checkName(long) != "" || !strings.HasSuffix(long, "ö.jpg") {
		t.Errorf("long name: %s: %s", checkName(long), long)
	}
}

func TestCSV(t *testing.T) {
	p := pictureNo(0)
	p.Name, p.File = "=HYPERLINK(1)", "@x"
	p.Data = json.RawMessage(`{"a":"+1","b":-1,"c":"\tx","d":{"e":1},"=k":"-2","f":"＝1","g":null}`)
	a := open(t, write(t, NewWriter, []Picture{p}))
	rows, err := csv.NewReader(bytes.NewReader(read(t, a, CSVName))).ReadAll()
	must(t, err)
	got := map[string]string{}
	for i, name := range rows[0] {
		got[name] = rows[1][i]
	}
	for name, want := range map[string]string{
		"name": "'=HYPERLINK(1)", "file": "'@x", "data.a": "'+1", "data.b": "-1", "data.c": "'\tx", "data.d": `{"e":1}`, "data.=k": "'-2",
		"data.f": "'＝1", "data.g": "", "tags": "a, b", "private": "true", "time": "2026-11-21T12:00:00.123Z", "labels": "Cat 99.5%",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

func TestErrorsAreTold(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b, t.TempDir())
	must(t, err)
	must(t, w.Fail(pictureNo(1), "gone"))
	must(t, w.Close())
	var f Failure
	must(t, json.Unmarshal(read(t, open(t, b.Bytes()), ErrorsName), &f))
	if diff := cmp.Diff(Failure{"gone", pictureNo(1)}, f); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := NewWriter(&b, filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a writer without room")
	}
}

// entry is one of a zip that a test makes.
type entry struct {
	name   string
	body   string
	method uint16 // 0 stores
	change func(*zip.FileHeader)
	raw    bool // the header is written as it is
}

func zipOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: e.method}
		if e.change != nil {
			e.change(h)
		}
		var to io.Writer
		var err error
		if e.raw {
			h.CompressedSize64 = uint64(len(e.body))
			if h.UncompressedSize64 == 0 {
				h.UncompressedSize64 = uint64(len(e.body))
			}
			to, err = w.CreateRaw(h)
		} else {
			to, err = w.CreateHeader(h)
		}
		must(t, err)
		_, err = io.WriteString(to, e.body)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func TestHostile(t *testing.T) {
	limits := Limits{Entries: 20, Directory: 1 << 20, PictureBytes: 1000, TotalBytes: 4000}
	many := make([]entry, 21)
	large := make([]entry, 5)
	for i := range many {
		many[i] = entry{name: fmt.Sprint(i)}
	}
	for i := range large {
		large[i] = entry{name: fmt.Sprint(i), body: strings.Repeat("x", 900)}
	}
	overlap := zipOf(t, entry{name: "a", body: strings.Repeat("x", 300)}, entry{name: "b", body: strings.Repeat("x", 300)})
	// Each entry of the index says that its bytes reach over those of the other.
	for at := 0; ; {
		i := bytes.Index(overlap[at:], signature)
		if i < 0 {
			break
		}
		at += i
		copy(overlap[at+20:], []byte{0x20, 0x02, 0, 0, 0x20, 0x02, 0, 0}) // 544 bytes packed and unpacked
		at += 4
	}
	for name, test := range map[string]struct {
		archive []byte
		says    string
	}{
		"no zip":             {[]byte("this is none"), "no zip file"},
		"nothing":            {nil, "no zip file"},
		"cut":                {overlap[:len(overlap)-30], "no zip file"},
		"climbs":             {zipOf(t, entry{name: "a/../../etc/passwd"}), "leads elsewhere"},
		"climbs at once":     {zipOf(t, entry{name: "../x"}), "leads elsewhere"},
		"a dot":              {zipOf(t, entry{name: "a/./x"}), "leads elsewhere"},
		"an empty part":      {zipOf(t, entry{name: "a//x"}), "leads elsewhere"},
		"absolute":           {zipOf(t, entry{name: "/etc/passwd"}), "outside"},
		"a drive":            {zipOf(t, entry{name: "C:x"}), "outside"},
		"backslashes":        {zipOf(t, entry{name: `a\..\x`}), "backslash"},
		"NUL":                {zipOf(t, entry{name: "a\x00b"}), "NUL"},
		"a line feed":        {zipOf(t, entry{name: "a\nb"}), "control"},
		"no UTF-8":           {zipOf(t, entry{name: "a\xff\xfe", change: func(h *zip.FileHeader) { h.NonUTF8 = true }}), "UTF-8"},
		"no name":            {zipOf(t, entry{name: ""}), "no name"},
		"a long name":        {zipOf(t, entry{name: strings.Repeat("x", maxName+1)}), "too long"},
		"many folders":       {zipOf(t, entry{name: strings.Repeat("x/", maxSegments+1) + "x"}), "too many folders"},
		"twice":              {zipOf(t, entry{name: "a"}, entry{name: "a"}), "twice"},
		"twice, composed":    {zipOf(t, entry{name: "ä"}, entry{name: "a\u0308"}), "twice"},
		"a link":             {zipOf(t, entry{name: "a", body: "/etc/passwd", change: func(h *zip.FileHeader) { h.SetMode(os.ModeSymlink | 0o777) }}), "a link"},
		"a device":           {zipOf(t, entry{name: "a", change: func(h *zip.FileHeader) { h.SetMode(os.ModeDevice | 0o777) }}), "a link or a device"},
		"a pipe":             {zipOf(t, entry{name: "a", change: func(h *zip.FileHeader) { h.SetMode(os.ModeNamedPipe | 0o777) }}), "a link or a device"},
		"encrypted":          {zipOf(t, entry{name: "a", body: "x", raw: true, change: func(h *zip.FileHeader) { h.Flags |= 1 }}), "encrypted"},
		"another method":     {zipOf(t, entry{name: "a", body: "x", raw: true, method: 12}), "deflate"},
		"many entries":       {zipOf(t, many...), "more than 20 entries"},
		"a large picture":    {zipOf(t, entry{name: "a", body: strings.Repeat("x", 1001)}), "at most 1000 bytes"},
		"much in all":        {zipOf(t, large...), "more than 4000 bytes"},
		"shared bytes":       {overlap, "share bytes"},
		"a bomb":             {zipOf(t, entry{name: DataName, method: zip.Deflate, body: strings.Repeat("\n", ratioFree+1)}), "times its size"},
		"larger than itself": {zipOf(t, entry{name: "a", body: "x", raw: true, change: func(h *zip.FileHeader) { h.UncompressedSize64 = 1 << 61 }}), "times its size"},
	} {
		t.Run(name, func(t *testing.T) {
			limits := limits
			if name == "a bomb" {
				limits.TotalBytes = 1 << 40
			}
			_, err := Open(bytes.NewReader(test.archive), int64(len(test.archive)), limits)
			if !errors.Is(err, ErrRefused) || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("%v, want a refusal that says %q", err, test.says)
			}
		})
	}
}

// TestLies reads entries that are not what the index says of them.
func TestLies(t *testing.T) {
	deflated := func(text string) string {
		archive := zipOf(t, entry{name: "a", method: zip.Deflate, body: text})
		r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
		must(t, err)
		raw, err := r.File[0].OpenRaw()
		must(t, err)
		packed, err := io.ReadAll(raw)
		must(t, err)
		return string(packed)
	}
	for name, archive := range map[string][]byte{
		"more than it says": zipOf(t, entry{name: "a", raw: true, method: zip.Deflate, body: deflated(strings.Repeat("x", 5000)), change: func(h *zip.FileHeader) { h.UncompressedSize64 = 10 }}),
		"less than it says": zipOf(t, entry{name: "a", raw: true, method: zip.Deflate, body: deflated("x"), change: func(h *zip.FileHeader) { h.UncompressedSize64 = 10 }}),
		"other bytes":       zipOf(t, entry{name: "a", raw: true, body: "other", change: func(h *zip.FileHeader) { h.CRC32 = 1 }}),
		"no deflate":        zipOf(t, entry{name: "a", raw: true, method: zip.Deflate, body: "\xff\xff\xff"}),
	} {
		body, err := open(t, archive).Open("a")
		if err == nil {
			var n int64
			n, err = io.Copy(io.Discard, body)
			if n > 10 {
				t.Errorf("%s: %d bytes were given out", name, n)
			}
			must(t, body.Close())
		}
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	for name, records := range map[string]string{DataName: "{\"id\":\"a\"}\nnone\n", StorageName: `[{"_id":"a"},{]`} {
		seen := 0
		err := open(t, zipOf(t, entry{name: name, body: records})).Pictures(func(Picture) error { seen++; return nil })
		if !errors.Is(err, ErrRefused) || seen != 1 {
			t.Errorf("%s: %v after %d pictures", name, err, seen)
		}
	}
}

func TestPlain(t *testing.T) {
	a := open(t, zipOf(t, entry{name: "b/"}, entry{name: "b/a\u0308.jpg"}, entry{name: "__MACOSX/b/._a.jpg"}, entry{name: ".DS_Store"}, entry{name: "b/Thumbs.db"}, entry{name: "c.png"}))
	var got []Picture
	must(t, a.Pictures(func(p Picture) error { got = append(got, p); return nil }))
	want := []Picture{{Path: "b/a\u0308.jpg", File: "b/ä.jpg"}, {Path: "c.png", File: "c.png"}}
	if diff := cmp.Diff(want, got); diff != "" || a.Kind != Plain {
		t.Errorf("kind %d (-want +got):\n%s", a.Kind, diff)
	}
}

// FuzzOpen holds the reader to its limits: whatever is admitted has safe names, and gives out no more than it said.
func FuzzOpen(f *testing.F) {
	f.Add(zipOf(f, entry{name: "a.jpg", body: "x"}, entry{name: "b/c.jpg", method: zip.Deflate, body: strings.Repeat("y", 999)}))
	f.Add(zipOf(f, entry{name: DataName, body: `{"id":"a","path":"files/a"}`}, entry{name: "files/a", body: "x"}))
	f.Add(zipOf(f, entry{name: StorageName, body: `[{"_id":{"$oid":"a"},"file":"a","time":{"$date":1}}]`}, entry{name: "a", body: "x"}))
	f.Add(zipOf(f, entry{name: "../a"}))
	limits := Limits{Entries: 100, Directory: 1 << 16, PictureBytes: 1 << 16, TotalBytes: 1 << 20}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Open(bytes.NewReader(data), int64(len(data)), limits)
		if err != nil {
			if !errors.Is(err, ErrRefused) {
				t.Fatalf("%v is no refusal", err)
			}
			return
		}
		if len(a.named) > limits.Entries {
			t.Fatalf("%d entries", len(a.named))
		}
		for name, file := range a.named {
			if problem := checkName(file.Name); problem != "" {
				t.Fatalf("%q: %s", file.Name, problem)
			}
			body, err := a.Open(name)
			if err != nil {
				continue
			}
			if n, _ := io.Copy(io.Discard, body); n > limits.TotalBytes || uint64(n) > file.UncompressedSize64 {
				t.Fatalf("%q gave %d bytes of %d", name, n, file.UncompressedSize64)
			}
			must(t, body.Close())
		}
		_ = a.Pictures(func(Picture) error { return nil }) // it ends
	})
}
