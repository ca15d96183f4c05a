package main

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
)

// exportCommand takes pictures and their records out of a running Deckle.
type exportCommand struct {
	operatorFlags `embed:""`

	File  string   `arg:"" help:"Zip file to write, which is there when it is whole; - is the standard output."`
	Where []string `sep:"none" help:"Which pictures, as in GET /images: tag=sea, from=2026-01-01, data.camera=x100, filter={...}. All of several must fit." placeholder:"NAME=VALUE"`
}

// exportedNumbers are the trailers of an export.
type exportedNumbers struct{ pictures, failed int }

// Run says at the end how many pictures there are. It fails when one could not be had: errors.jsonl in the archive says which.
func (e *exportCommand) Run(stdout io.Writer) error {
	query := url.Values{}
	for _, where := range e.Where {
		name, value, found := strings.Cut(where, "=")
		if !found || name == "" {
			return fmt.Errorf("%w: --where is %q: want NAME=VALUE", errUsage, where)
		}
		query.Add(name, value)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if e.File == "-" {
		n, err := e.fetch(ctx, query, stdout)
		return e.verdict(os.Stderr, n, err)
	}
	n, err := e.toFile(ctx, query)
	return e.verdict(stdout, n, err)
}

func (e *exportCommand) verdict(to io.Writer, n exportedNumbers, err error) error {
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(to, "%d pictures exported, %d failed\n", n.pictures, n.failed); err != nil {
		return err
	}
	if n.failed > 0 {
		return fmt.Errorf("%d pictures are not in the archive; errors.jsonl in it says which, and why", n.failed)
	}
	return nil
}

// toFile writes a file beside the one that is to be, and renames it when it is whole and can be read.
func (e *exportCommand) toFile(ctx context.Context, query url.Values) (n exportedNumbers, err error) {
	f, err := os.CreateTemp(filepath.Dir(e.File), "."+filepath.Base(e.File)+"-*")
	if err != nil {
		return n, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	n, err = e.fetch(ctx, query, f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return n, err
	}
	written, err := zip.OpenReader(f.Name())
	if err != nil {
		return n, fmt.Errorf("read what was written: %w", err)
	}
	if err := written.Close(); err != nil {
		return n, err
	}
	return n, os.Rename(f.Name(), e.File)
}

func (e *exportCommand) fetch(ctx context.Context, query url.Values, to io.Writer) (n exportedNumbers, err error) {
	request, err := e.request(ctx, http.MethodGet, "/export?"+query.Encode(), nil)
	if err != nil {
		return n, err
	}
	response, err := e.send(request)
	if err != nil {
		return n, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	counted := &counter{to: to, tell: lineTeller(os.Stderr)}
	if _, err := io.Copy(counted, response.Body); err != nil {
		return n, fmt.Errorf("the export broke off: %w", err)
	}
	n.pictures, err = strconv.Atoi(response.Trailer.Get("Deckle-Pictures"))
	if err == nil {
		n.failed, err = strconv.Atoi(response.Trailer.Get("Deckle-Failed"))
	}
	if err != nil {
		return n, errors.New("the export was not told to be whole: a proxy on the way may have dropped its trailers")
	}
	return n, nil
}

// send sends a request that may take any time, and returns the answer if it is good.
func (f *operatorFlags) send(request *http.Request) (*http.Response, error) {
	if f.APIKey != "" {
		request.Header.Set("Authorization", "Bearer "+f.APIKey)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusMultiStatus {
		return response, nil
	}
	defer func() { _ = response.Body.Close() }() // it was refused
	var refused struct{ Detail string }
	if json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&refused) != nil || refused.Detail == "" {
		return nil, fmt.Errorf("the server answered %s", response.Status)
	}
	return nil, errors.New(refused.Detail)
}

// lineTeller returns what writes a line now and then.
func lineTeller(to io.Writer) func(format string, args ...any) {
	last := time.Now()
	return func(format string, args ...any) {
		if now := time.Now(); now.Sub(last) >= lineEvery {
			last = now
			_, _ = fmt.Fprintf(to, format+"\n", args...) // a line that cannot be written stops nothing
		}
	}
}

// counter says how many bytes have gone through.
type counter struct {
	to   io.Writer
	n    uint64
	tell func(format string, args ...any)
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += uint64(n)
	c.tell("%s exported", humanize.IBytes(c.n))
	return n, err
}
