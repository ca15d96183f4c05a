package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"deckle/bench"
	benchreport "deckle/bench/report"
)

// benchCompareCommand sets two runs beside each other.
type benchCompareCommand struct {
	Before string `arg:"" help:"JSON file of the earlier run."`
	After  string `arg:"" help:"JSON file of the later run."`

	Least            float64 `default:"0.05" help:"Smallest part by which a figure must differ to count as changed."`
	All              bool    `help:"Show figures that did not change, too."`
	JSON             bool    `name:"json" help:"Print the comparison as JSON."`
	FailOnRegression bool    `help:"Exit with 1 when a figure is worse beyond noise."`
}

// Run prints what changed beyond noise.
func (b *benchCompareCommand) Run(stdout io.Writer) error {
	if b.Least < 0 || b.Least > 10 {
		return fmt.Errorf("%w: --least is %g; it is a part, as 0.05", errUsage, b.Least)
	}
	before, err := readSuite(b.Before)
	if err != nil {
		return err
	}
	after, err := readSuite(b.After)
	if err != nil {
		return err
	}
	comparison := bench.Compare(before, after, b.Least)
	if b.JSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(comparison)
	} else {
		err = comparison.WriteTable(stdout, b.All)
	}
	if worse := comparison.Regressions(); err == nil && b.FailOnRegression && len(worse) > 0 {
		return fmt.Errorf("%d figures are worse beyond noise, first %s of %s in %s", len(worse), worse[0].Figure, worse[0].Target, worse[0].Run)
	}
	return err
}

// benchReportCommand draws figures that were measured before.
type benchReportCommand struct {
	JSON string `arg:"" name:"json" help:"JSON file of a run."`
	HTML string `arg:"" name:"html" help:"File for the page."`
}

// Run writes the page.
func (b *benchReportCommand) Run() error {
	suite, err := readSuite(b.JSON)
	if err != nil {
		return err
	}
	return writeTo(b.HTML, func(w io.Writer) error { return benchreport.Write(w, suite) })
}

func readSuite(name string) (*bench.Suite, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	suite, err := bench.ReadSuite(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return suite, nil
}
