package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"deckle/admin"
	"deckle/proxy"
	"deckle/signature"
)

// warmCommand asks an edge for pictures before viewers do.
type warmCommand struct {
	ownSecrets `embed:""`

	File string `arg:"" help:"List of paths or URLs, one a line, or an access log (Deckle's own, common, combined); - is the standard input."`

	Edge        string        `default:"http://127.0.0.1:8080" help:"URL of the edge."`
	Concurrency int           `help:"Requests at one time; 0 is one a core, as a server's renderers are." placeholder:"N"`
	Rate        float64       `help:"Most requests a second; 0 for no bound." placeholder:"N"`
	Top         int           `help:"Only so many pictures, those named most often." placeholder:"N"`
	TTL         time.Duration `name:"ttl" default:"1m" help:"How long a signature is good, where there is a secret to sign with."`
	Ignore      string        `default:"v,_,utm_*,fbclid,gclid" help:"Query options to pass over when URLs are compared, as the server does."`
}

// Run prints how far it is on the error output, and what it did at the end. It fails when a picture could not be had.
func (w *warmCommand) Run(stdout io.Writer) error {
	if w.Concurrency < 0 || w.Top < 0 || w.Rate < 0 || w.TTL < time.Second {
		return fmt.Errorf("%w: --concurrency, --top and --rate are at least 0, and --ttl a second", errUsage)
	}
	targets, err := w.read()
	if err != nil {
		return err
	}
	signer, err := w.signer()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	warmer := admin.Warmer{Edge: func() string { return w.Edge }, Rules: proxy.Rules{Ignore: list(w.Ignore)}, Concurrency: runtime.GOMAXPROCS(0)}
	if signer != nil {
		warmer.Sign = signForWarming(signer, w.TTL)
	}
	r, err := warmer.Run(ctx, admin.WarmOrder{
		Targets: targets, Top: w.Top, Rate: w.Rate, Concurrency: w.Concurrency, Progress: showProgress(os.Stderr),
	})
	if err := printWarm(stdout, r); err != nil {
		return err
	}
	switch {
	case err != nil:
		return fmt.Errorf("stopped: %d of %d pictures are left", r.Pictures-r.Done()+r.Failed, r.Pictures)
	case r.Failed > 0:
		return fmt.Errorf("%d of %d pictures could not be had", r.Failed, r.Pictures)
	case r.Pictures == 0:
		return errors.New("nothing in the list names a picture")
	}
	return nil
}

// signForWarming signs the GET of a path for ttl from when it is called.
func signForWarming(v *signature.Verifier, ttl time.Duration) func(path string) string {
	return func(path string) string { return v.Query(http.MethodGet, path, "", time.Now().Add(ttl)) }
}

func (w *warmCommand) read() (admin.Targets, error) {
	if w.File == "-" {
		return admin.ReadTargets(os.Stdin)
	}
	file, err := os.Open(w.File)
	if err != nil {
		return admin.Targets{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	defer func() { _ = file.Close() }() // it was only read
	return admin.ReadTargets(file)
}

// showProgress returns what says how far warming is.
func showProgress(to *os.File) func(admin.WarmReport) {
	show := newProgress(to, "warm")
	return func(r admin.WarmReport) {
		show(r.Done(), r.Pictures, func() string {
			return fmt.Sprintf("%d of %d: %d rendered, %d there, %d failed", r.Done(), r.Pictures, r.Rendered, r.There, r.Failed)
		})
	}
}

func printWarm(to io.Writer, r admin.WarmReport) error {
	_, err := fmt.Fprintf(to, "%d pictures in %.1f s: %d rendered, %d already there, %d failed\n",
		r.Pictures, r.Milliseconds/1000, r.Rendered, r.There, r.Failed)
	if r.Skipped > 0 && err == nil {
		_, err = fmt.Fprintf(to, "%d lines name no picture\n", r.Skipped)
	}
	for _, f := range r.Failures {
		if err == nil {
			_, err = fmt.Fprintf(to, "%s: %s\n", f.Path, f.Reason)
		}
	}
	if more := r.Failed - len(r.Failures); more > 0 && err == nil {
		_, err = fmt.Fprintf(to, "and %d more\n", more)
	}
	return err
}
