package main

import (
	"context"
	"io"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"
)

// lineHandler writes the lines that slog's JSON handler writes, in a third of its time where they hold nothing but numbers,
// booleans and plain text, as the line of a hit does: there is one for each request. Everything else is left to that handler.
type lineHandler struct {
	slog.Handler
	to io.Writer
}

func newLineHandler(to io.Writer, options *slog.HandlerOptions) lineHandler {
	return lineHandler{slog.NewJSONHandler(to, options), to}
}

// lines keeps what lines are put together in.
var lines = sync.Pool{New: func() any { line := make([]byte, 0, 512); return &line }}

// Handle implements slog.Handler. A line is one call of Write.
func (h lineHandler) Handle(ctx context.Context, r slog.Record) error {
	buffer := lines.Get().(*[]byte)
	defer lines.Put(buffer)
	line, ok := appendRecord((*buffer)[:0], r)
	*buffer = line[:0]
	if !ok {
		return h.Handler.Handle(ctx, r)
	}
	_, err := h.to.Write(line)
	return err
}

// appendRecord appends a record as a line of JSON; false where it holds what only slog's own handler can write.
func appendRecord(line []byte, r slog.Record) ([]byte, bool) {
	if r.Time.IsZero() || r.Time.Year() > 9999 || r.Time.Year() < 1 {
		return line, false
	}
	line = append(line, `{"time":"`...)
	line = r.Time.Round(0).AppendFormat(line, time.RFC3339Nano)
	line = append(append(append(line, `","level":"`...), r.Level.String()...), `","msg":`...)
	line, ok := appendPlain(line, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		line, ok = appendAttr(line, a, ok)
		return ok
	})
	return append(line, '}', '\n'), ok
}

// appendAttr appends a member, if all before it could be.
func appendAttr(line []byte, a slog.Attr, ok bool) ([]byte, bool) {
	if !ok || a.Key == "" {
		return line, false
	}
	line, ok = appendPlain(append(line, ','), a.Key)
	line = append(line, ':')
	switch a.Value.Kind() {
	case slog.KindString:
		var plain bool
		line, plain = appendPlain(line, a.Value.String())
		return line, ok && plain
	case slog.KindInt64:
		return strconv.AppendInt(line, a.Value.Int64(), 10), ok
	case slog.KindBool:
		return strconv.AppendBool(line, a.Value.Bool()), ok
	case slog.KindFloat64:
		f := a.Value.Float64()
		// Beyond these encoding/json writes an exponent.
		if size := math.Abs(f); f != 0 && (size < 1e-6 || size >= 1e21) || math.IsNaN(f) {
			return line, false
		}
		return strconv.AppendFloat(line, f, 'f', -1, 64), ok
	}
	return line, false
}

// appendPlain appends text in quotes; false where something in it would have to be escaped, or may have to be.
func appendPlain(line []byte, text string) ([]byte, bool) {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return line, false
		}
	}
	return append(append(append(line, '"'), text...), '"'), true
}
