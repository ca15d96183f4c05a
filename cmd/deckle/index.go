package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// indexCommand has a running Deckle make records of the sources that have none.
type indexCommand struct {
	operatorFlags `embed:""`

	DryRun bool `help:"Say what would be done."`
}

// indexed is what POST /index says.
type indexed struct {
	Sources, Adopted, Failed, Missing int
	Failures                          map[string]string
	IDs                               []string `json:"missing_ids"`
	DryRun                            bool     `json:"dry_run"`
}

// Run prints what was found. It fails when a source can have no record, or a record has lost its bytes.
func (i *indexCommand) Run(stdout io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	request, err := i.request(ctx, http.MethodPost, fmt.Sprintf("/index?dry_run=%t", i.DryRun), nil)
	if err != nil {
		return err
	}
	tell := lineTeller(os.Stderr)
	report, err := follow(&i.operatorFlags, request, func(r indexed) {
		tell("%d sources: %d without a record, %d failed", r.Sources, r.Adopted, r.Failed)
	})
	if err != nil {
		return err
	}
	return report.print(stdout)
}

func (i indexed) print(to io.Writer) error {
	did := "records made"
	if i.DryRun {
		did = "records would be made"
	}
	_, err := fmt.Fprintf(to, "%d sources: %d %s, %d failed; %d records without bytes\n", i.Sources, i.Adopted, did, i.Failed, i.Missing)
	for _, id := range slices.Sorted(maps.Keys(i.Failures)) {
		if err == nil {
			_, err = fmt.Fprintf(to, "%s: %s\n", id, i.Failures[id])
		}
	}
	for _, id := range i.IDs {
		if err == nil {
			_, err = fmt.Fprintf(to, "%s: the record has no bytes\n", id)
		}
	}
	if err == nil && i.Failed+i.Missing > 0 {
		err = fmt.Errorf("%d sources can have no record, %d records have no bytes", i.Failed, i.Missing)
	}
	return err
}
