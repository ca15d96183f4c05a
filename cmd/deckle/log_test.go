package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math"
	"testing"
	"time"
)

// bothLines writes a record by slog's handler and by ours.
func bothLines(t testing.TB, r slog.Record) (want, got string) {
	t.Helper()
	var theirs, ours bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&theirs, nil), newLineHandler(&ours, nil)} {
		if err := h.Handle(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	return theirs.String(), ours.String()
}

func TestLinesAreSlogs(t *testing.T) {
	at := time.Date(2026, 11, 22, 9, 8, 7, 6, time.UTC)
	for name, c := range map[string]struct {
		at    time.Time
		level slog.Level
		text  string
		attrs []slog.Attr
	}{
		"a hit": {at, slog.LevelInfo, "request", []slog.Attr{
			slog.String("method", "GET"), slog.String("path", "/cat_300_200.webp"), slog.Int("status", 200), slog.Float64("ms", 0.021), slog.Bool("x", true),
		}},
		"bare":         {at.In(time.FixedZone("", 3600)), slog.LevelError, "x", nil},
		"no time":      {time.Time{}, slog.LevelInfo, "x", nil},
		"a far time":   {time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), slog.LevelInfo, "x", nil},
		"between":      {at, slog.LevelInfo + 1, "x", nil},
		"quotes":       {at, slog.LevelInfo, `a "b"`, []slog.Attr{slog.String(`k"`, `\`)}},
		"letters":      {at, slog.LevelInfo, "größe", []slog.Attr{slog.String("a", "\u2028\xff\n<&>"), slog.String("b", "<&>")}},
		"numbers":      {at, slog.LevelInfo, "x", []slog.Attr{slog.Float64("a", 0), slog.Float64("b", 1e21), slog.Float64("c", -1e-7), slog.Float64("d", 1e20), slog.Int("e", -5)}},
		"no number":    {at, slog.LevelInfo, "x", []slog.Attr{slog.Float64("a", math.NaN())}},
		"infinite":     {at, slog.LevelInfo, "x", []slog.Attr{slog.Float64("a", math.Inf(-1))}},
		"minus zero":   {at, slog.LevelInfo, "x", []slog.Attr{slog.Float64("a", math.Copysign(0, -1))}},
		"other kinds":  {at, slog.LevelInfo, "x", []slog.Attr{slog.String("a", "b"), slog.Any("e", io.EOF), slog.Duration("d", 5), slog.Uint64("u", 7)}},
		"a group":      {at, slog.LevelInfo, "x", []slog.Attr{slog.Group("g", slog.Int("a", 1))}},
		"empty key":    {at, slog.LevelInfo, "x", []slog.Attr{slog.Int("", 1)}},
		"empty":        {at, slog.LevelInfo, "x", []slog.Attr{{}}},
		"many members": {at, slog.LevelInfo, "x", []slog.Attr{slog.Int("a", 1), slog.Int("b", 1), slog.Int("c", 1), slog.Int("d", 1), slog.Int("e", 1), slog.Int("f", 1)}},
	} {
		r := slog.NewRecord(c.at, c.level, c.text, 0)
		r.AddAttrs(c.attrs...)
		if want, got := bothLines(t, r); want != got {
			t.Errorf("%s:\n%swant\n%s", name, got, want)
		}
	}
}

// TestLinesWith: what is added to a logger is in its lines.
func TestLinesWith(t *testing.T) {
	var ours bytes.Buffer
	slog.New(newLineHandler(&ours, nil)).With("node", 1).WithGroup("g").Info("x", "a", 2)
	if !bytes.Contains(ours.Bytes(), []byte(`"node":1,"g":{"a":2}}`)) {
		t.Error(ours.String())
	}
}

func FuzzLines(f *testing.F) {
	f.Add("request", "path", "/cat_300_200.webp", 0.021, int64(200))
	f.Add("\x00", "\xff", "\u2029", -1e300, int64(-1))
	f.Fuzz(func(t *testing.T, text, key, value string, number float64, whole int64) {
		r := slog.NewRecord(time.Unix(whole>>20, whole).UTC(), slog.LevelInfo, text, 0)
		r.AddAttrs(slog.String(key, value), slog.Float64("n", number), slog.Int64("w", whole))
		if want, got := bothLines(t, r); want != got {
			t.Errorf("%swant\n%s", got, want)
		}
	})
}

// BenchmarkLine is the line of a hit, by slog's handler and by ours.
func BenchmarkLine(b *testing.B) {
	for name, h := range map[string]slog.Handler{"slog": slog.NewJSONHandler(io.Discard, nil), "ours": newLineHandler(io.Discard, nil)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := slog.NewRecord(time.Now(), slog.LevelInfo, "request", 0)
				r.AddAttrs(slog.String("method", "GET"), slog.String("path", "/cat_300_200.webp"), slog.Int("status", 200),
					slog.Int("bytes", 12345), slog.Float64("ms", 0.021), slog.String("from", "memory"))
				if err := h.Handle(context.Background(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
