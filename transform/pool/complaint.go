package pool

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// What renderers print is logged as lines of at most 256 bytes of JSON, of which this much is theirs.
const maxComplaint = 110

// The pool logs so many lines of all its renderers at once, and so many a second after that.
const (
	complaintBurst  = 40
	complaintPerSec = 10
)

// complaints turns what renderers print, which can hold anything a source made a decoder say, into log lines.
type complaints struct {
	log     *slog.Logger
	limit   *rate.Limiter
	dropped atomic.Int64 // lines
}

func newComplaints(log *slog.Logger) *complaints {
	return &complaints{log: log, limit: rate.NewLimiter(complaintPerSec, complaintBurst)}
}

// of returns the writer for one renderer's standard error. It takes everything and keeps at most one line.
func (c *complaints) of(pid func() int) *complaint { return &complaint{to: c, pid: pid} }

// complaint collects the lines of one renderer. The exec package calls Write from one goroutine.
type complaint struct {
	to   *complaints
	pid  func() int
	line []byte // begun and not ended; no longer than a log line shows
}

func (c *complaint) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte{'\n'})
		c.line = append(c.line, part[:min(len(part), maxComplaint-len(c.line))]...)
		if ended {
			c.flush()
		}
		rest = after
	}
	return len(b), nil
}

// flush logs the line so far. A renderer that dies in the middle of a line leaves it unsaid.
func (c *complaint) flush() {
	text := quotable(string(c.line))
	c.line = c.line[:0]
	if strings.TrimSpace(text) == "" {
		return
	}
	if !c.to.limit.Allow() {
		c.to.dropped.Add(1)
		return
	}
	c.to.log.LogAttrs(context.Background(), slog.LevelWarn, "renderer says", slog.Int("pid", c.pid()), slog.String("text", text))
}

// quotable leaves nothing in a line that JSON would have to escape, so that its length is known.
func quotable(line string) string {
	return strings.NewReplacer(`"`, "'", `\`, "/").Replace(printable(line, maxComplaint))
}
