package pool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/transform"
)

// fill sets every field that v holds to something that is not its zero value.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("text")
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1.25)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(3)
	default:
		v.SetInt(3)
	}
}

// TestEverythingTravels: every field of a request and of a reply arrives, also those that are added one day.
func TestEverythingTravels(t *testing.T) {
	for _, sent := range []any{&request{}, &reply{}, &hello{}} {
		fill(reflect.ValueOf(sent).Elem())
		if r, ok := sent.(*reply); ok {
			r.Picture.Body = nil // the body of the frame
		}
		frame, err := packHead(sent, 4)
		if err != nil {
			t.Fatal(err)
		}
		got := reflect.New(reflect.TypeOf(sent).Elem()).Interface()
		body, err := readFrame(bytes.NewReader(append(frame, "body"...)), got, maxHead, 10)
		if err != nil || string(body) != "body" {
			t.Errorf("%T: %q %v", sent, body, err)
		}
		if diff := cmp.Diff(sent, got); diff != "" {
			t.Errorf("%T: %s", sent, diff)
		}
	}
}

// TestEverySentinelTravels: what callers branch on is known on the other side.
func TestEverySentinelTravels(t *testing.T) {
	names := map[string]bool{}
	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Err") {
				names[spec.Names[0].Name] = true
			}
			return true
		})
	}
	delete(names, "ErrNoExtension") // of URLs: no renderer sees one
	if want := len(kinds) - 2; len(names) != want || len(names) < 5 {
		t.Errorf("transform has the sentinels %v; %d of kinds are its own", names, want)
	}
	for _, kind := range kinds {
		text, err := json.Marshal(pack(fmt.Errorf("load: %w: said", kind.err)))
		if err != nil {
			t.Fatal(err)
		}
		var f fault
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatal(err)
		}
		if got := f.unpack(); !errors.Is(got, kind.err) || got.Error() != "load: "+kind.err.Error()+": said" {
			t.Errorf("%s: %v", kind.name, got)
		}
	}
}

// FuzzFrame: whatever a child sends is refused or is a frame; what was read is written back as something that reads the same.
func FuzzFrame(f *testing.F) {
	good, err := packHead(reply{Seq: 1, Picture: &transform.Picture{Format: transform.PNG, Width: 1, Height: 1, Frames: 1}}, 3)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(good, "abc"...))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x02\x00\x00\x00\x01{}x"))
	f.Add([]byte("\x00\x00\x00\x02\x00\x30\x00\x00{}x"))
	limits := transform.DefaultLimits()
	limits.OutputSide = 16
	writes := map[transform.Format]bool{transform.PNG: true, transform.JPEG: true}
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second reply
		body, err := readFrame(bytes.NewReader(data), &first, maxReplyHead, bodyBound(limits))
		if err != nil {
			return
		}
		if len(body) > len(data) {
			t.Fatalf("%d bytes out of %d", len(body), len(data))
		}
		if first.Fault != nil {
			if text := first.Fault.unpack().Error(); strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && first.Fault.Spec == nil }) || len(text) > 10*maxText {
				t.Errorf("text %q", text)
			}
		}
		if p, err := first.accept(body, transform.Spec{}, transform.Header{}, writes, limits); err == nil && (transform.Sniff(p.Body) != p.Format || p.Width > 16 || acceptStages(p.Stages) != nil) {
			t.Errorf("accepted %+v", p)
		}
		if first.Picture != nil {
			first.Picture.Body = nil
		}
		frame, err := packHead(first, len(body))
		if err != nil {
			t.Fatal(err)
		}
		again, err := readFrame(bytes.NewReader(append(frame, body...)), &second, 10*maxReplyHead, bodyBound(limits))
		if err != nil || !bytes.Equal(again, body) || !cmp.Equal(first, second) {
			t.Errorf("%+v came back as %+v, %v", first, second, err)
		}
	})
}

func TestQuarantineForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuarantine(10 * time.Minute)
		a, b := picture(1), picture(2)
		steps := []struct {
			what string
			do   func()
			bad  bool
		}{
			{"one strike", func() { q.strike(a) }, false},
			{"another's", func() { q.strike(b) }, false},
			{"a second after too long", func() { time.Sleep(10 * time.Minute); q.strike(a) }, false},
			{"a third soon", func() { time.Sleep(time.Minute); q.strike(a) }, true},
			{"just before the end", func() { time.Sleep(10*time.Minute - time.Nanosecond) }, true},
			{"the end", func() { time.Sleep(time.Nanosecond) }, false},
			{"it starts from nothing", func() { q.strike(a) }, false},
		}
		for _, step := range steps {
			step.do()
			if err := q.check(a); errors.Is(err, transform.ErrQuarantined) != step.bad {
				t.Errorf("%s: %v, want refused %v", step.what, err, step.bad)
			}
		}
		for n := range 2 * maxStruck {
			q.strike(picture(n))
		}
		if n := q.struck.Len(); n != maxStruck {
			t.Errorf("%d are remembered, want %d", n, maxStruck)
		}
	})
}

func TestWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pool
		note := func(n int, crash bool) {
			for range n {
				p.recent.note(crash)
			}
		}
		note(19, true)
		if err := p.Well(); err != nil {
			t.Errorf("too few to say: %v", err)
		}
		note(1, true)
		if p.Well() == nil {
			t.Error("all of twenty crashed, and it is well")
		}
		note(80, false)
		if err := p.Well(); err != nil {
			t.Errorf("a fifth: %v", err)
		}
		note(1, true)
		if p.Well() == nil {
			t.Error("more than a fifth crashed, and it is well")
		}
		time.Sleep(70 * time.Second)
		if err := p.Well(); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
}

// FuzzComplaint: whatever a child prints becomes lines of JSON of at most 256 bytes.
func FuzzComplaint(f *testing.F) {
	f.Add([]byte("plain\nlines\n"))
	f.Add([]byte("\x00\x1b[31m\"}\n{\"level\":\"INFO\"}\r\n"))
	f.Add(bytes.Repeat([]byte("\xe2\x80\xa8\\"), 200))
	f.Fuzz(func(t *testing.T, data []byte) {
		var out bytes.Buffer
		c := newComplaints(slog.New(slog.NewJSONHandler(&out, nil)))
		w := c.of(func() int { return 1<<31 - 1 })
		half := len(data) / 2
		for _, part := range [][]byte{data[:half], data[half:], []byte("\n")} {
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		for line := range strings.Lines(out.String()) {
			var said struct{ Msg, Text string }
			if err := json.Unmarshal([]byte(line), &said); err != nil || said.Msg != "renderer says" {
				t.Errorf("%q: %v", line, err)
			}
			if len(line) > 256 {
				t.Errorf("%d bytes: %s", len(line), line)
			}
		}
	})
}

// TestComplaintsAreBounded: a child that prints without end is heard for a while.
func TestComplaintsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		c := newComplaints(slog.New(slog.NewJSONHandler(&out, nil)))
		w := c.of(func() int { return 1 })
		for range 1000 {
			if _, err := w.Write([]byte("again\n")); err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(out.String(), "\n"); n != complaintBurst || c.dropped.Load() != 1000-complaintBurst {
			t.Errorf("%d lines logged, %d dropped", n, c.dropped.Load())
		}
		time.Sleep(time.Second)
		if _, err := w.Write([]byte("later\n")); err != nil || !strings.Contains(out.String(), "later") {
			t.Errorf("a second later: %v", err)
		}
	})
}
