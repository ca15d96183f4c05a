package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// lineEvery is how often a line says how far it is, where there is no terminal for a bar.
const lineEvery = 5 * time.Second

// newProgress returns what draws a bar on a terminal, and writes what line says elsewhere. It is called by one goroutine at a time.
func newProgress(to *os.File, what string) func(done, of int, line func() string) {
	if !term.IsTerminal(int(to.Fd())) {
		last := time.Now()
		return func(_, _ int, line func() string) {
			if now := time.Now(); now.Sub(last) >= lineEvery {
				last = now
				_, _ = fmt.Fprintln(to, line()) // a line that cannot be written stops nothing
			}
		}
	}
	var bar *progressbar.ProgressBar
	return func(done, of int, _ func() string) {
		if bar == nil {
			bar = progressbar.NewOptions(of, progressbar.OptionSetWriter(to), progressbar.OptionShowCount(),
				progressbar.OptionSetDescription(what), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		}
		_ = bar.Set(done) // neither does a bar
	}
}
