package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
)

// importCommand brings the pictures of an archive into a running Deckle.
type importCommand struct {
	operatorFlags `embed:""`

	File     string `arg:"" help:"Archive: one of deckle export, one of image-storage-service, or a zip file of pictures; - is the standard input."`
	Existing string `default:"skip" enum:"skip,replace,fail" help:"What becomes of pictures that are there already with other bytes: skip, replace or fail. With replace records become as in the archive, too."`
	DryRun   bool   `help:"Say what would be done."`
	JSON     string `name:"json" help:"JSON object whose members are set in the data of every picture." placeholder:"{...}"`
	Owner    string `help:"Whose pictures they will be, where the archive does not say it." placeholder:"USER"`
}

// imported is what POST /import says.
type imported struct {
	Pictures, Imported, Replaced, There, Kept, Failed int
	PassedOver                                        int `json:"passed_over"`
	Failures                                          []struct{ Path, ID, Error string }
	DryRun                                            bool `json:"dry_run"`
}

func (i imported) done() int {
	return i.Imported + i.Replaced + i.There + i.Kept + i.Failed + i.PassedOver
}

// Run says how far it is on the error output, and at the end what was done. It fails when a picture was not imported.
func (i *importCommand) Run(stdout io.Writer) error {
	query := url.Values{"existing": {i.Existing}}
	for name, value := range map[string]string{"data": i.JSON, "owner": i.Owner} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if i.DryRun {
		query.Set("dry_run", "true")
	}
	body := io.Reader(os.Stdin)
	size := int64(-1)
	if i.File != "-" {
		f, err := os.Open(i.File)
		if err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		defer func() { _ = f.Close() }() // it was only read
		info, err := f.Stat()
		if err != nil {
			return err
		}
		body, size = f, info.Size()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	request, err := i.request(ctx, http.MethodPost, "/import?"+query.Encode(), body)
	if err != nil {
		return err
	}
	request.ContentLength = size
	request.Header.Set("Content-Type", "application/zip")
	tell := lineTeller(os.Stderr)
	report, err := follow(&i.operatorFlags, request, func(r imported) {
		tell("%d of %d: %d imported, %d replaced, %d there, %d kept, %d failed", r.done(), r.Pictures, r.Imported, r.Replaced, r.There, r.Kept, r.Failed)
	})
	if err != nil {
		return err
	}
	return report.print(stdout)
}

func (i imported) print(to io.Writer) error {
	verb := ""
	if i.DryRun {
		verb = "would be: "
	}
	_, err := fmt.Fprintf(to, "%s%d imported, %d replaced, %d there already, %d kept, %d passed over, %d failed\n",
		verb, i.Imported, i.Replaced, i.There, i.Kept, i.PassedOver, i.Failed)
	for _, f := range i.Failures {
		if err == nil {
			_, err = fmt.Fprintf(to, "%s %s: %s\n", f.Path, f.ID, f.Error)
		}
	}
	if err == nil && i.Failed > 0 {
		err = fmt.Errorf("%d pictures were not imported", i.Failed)
	}
	return err
}

// follow sends a request whose answer comes as lines that say how far it is, and returns what the last one reports.
func follow[T any](f *operatorFlags, request *http.Request, progress func(T)) (report T, err error) {
	request.Header.Set("Accept", "application/x-ndjson")
	response, err := f.send(request)
	if err != nil {
		return report, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var line struct {
			Progress, Report *T
			Problem          *struct{ Detail string }
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return report, fmt.Errorf("read the answer: %w", err)
		}
		switch {
		case line.Problem != nil:
			return report, errors.New(line.Problem.Detail)
		case line.Report != nil:
			return *line.Report, nil
		case line.Progress != nil:
			progress(*line.Progress)
		}
	}
	if err := lines.Err(); err != nil {
		return report, fmt.Errorf("it broke off; run it again, and it goes on: %w", err)
	}
	return report, errors.New("it broke off; run it again, and it goes on")
}
