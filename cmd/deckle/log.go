package main

import (
	"bufio"
	"io"
	"log/slog"
	"sync"
	"time"
)

// newLog returns a logger of JSON lines.
func newLog(w io.Writer, level string) *slog.Logger {
	var least slog.Level
	_ = least.UnmarshalText([]byte(level)) // the configuration allows only names that are known
	return slog.New(newLineHandler(w, &slog.HandlerOptions{Level: least}))
}

// flushEvery bounds how long an access line waits for others to be written with it. A system call for each line would cost
// as much as half a memory hit.
const flushEvery = 200 * time.Millisecond

// batch gathers small writes into large ones. Close it to write the rest.
type batch struct {
	mu   sync.Mutex
	to   *bufio.Writer
	stop chan struct{}
	done chan struct{}
}

func newBatch(to io.Writer) *batch {
	b := &batch{to: bufio.NewWriterSize(to, 64<<10), stop: make(chan struct{}), done: make(chan struct{})}
	go b.run()
	return b
}

func (b *batch) run() {
	defer close(b.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.flush()
		case <-b.stop:
			b.flush()
			return
		}
	}
}

// flush drops an error: there is nowhere left to report that the log cannot be written.
func (b *batch) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = b.to.Flush()
}

func (b *batch) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.to.Write(line)
}

func (b *batch) Close() error {
	close(b.stop)
	<-b.done
	return nil
}
