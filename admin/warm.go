package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	maxWarmRequest     = 64 << 20 // bytes
	maxWarmConcurrency = 1024
	maxWarmRate        = 1e6
)

// warm answers POST /warm when all is done: a list or a log as the body, or JSON: {"paths": ["/cat_300_200.webp"]}. The
// options top, rate and concurrency are a query. It stops when the client leaves.
func (a *Admin) warm(w http.ResponseWriter, r *http.Request) {
	o, field, hint := warmOptions(r)
	if field != "" {
		refuseField(w, field, hint)
		return
	}
	var err error
	body := http.MaxBytesReader(w, r.Body, maxWarmRequest)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		o.Targets, err = readTargetsJSON(body)
	} else {
		o.Targets, err = ReadTargets(body)
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		refuse(w, http.StatusRequestEntityTooLarge, "The body is larger than a list to warm can be.")
		return
	case err != nil:
		refuseField(w, "body", "want paths, one a line, an access log, or JSON as in {\"paths\": [\"/cat_300_200.webp\"]}")
		return
	case len(o.Targets.Paths) == 0:
		refuseField(w, "body", "it names no picture: want paths, one a line, or an access log")
		return
	}
	report, err := a.Warmer.Run(r.Context(), o)
	if err != nil {
		return // the client has left
	}
	answer(w, http.StatusOK, report)
}

func readTargetsJSON(body io.Reader) (Targets, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return Targets{}, err
	}
	var asked struct{ Paths []string }
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
		err = json.Unmarshal(text, &asked.Paths)
	} else {
		err = json.Unmarshal(text, &asked)
	}
	t := Targets{Counts: map[string]int{}}
	for _, path := range asked.Paths {
		if err == nil {
			err = t.add(asTarget(path))
		}
	}
	return t, err
}

func warmOptions(r *http.Request) (o WarmOrder, field, hint string) {
	query := r.URL.Query()
	for name, values := range query {
		value := values[len(values)-1]
		var err error
		switch name {
		case "top":
			o.Top, err = strconv.Atoi(value)
			if err != nil || o.Top < 1 {
				return o, name, "want a whole number of at least 1"
			}
		case "concurrency":
			o.Concurrency, err = strconv.Atoi(value)
			if err != nil || o.Concurrency < 1 || o.Concurrency > maxWarmConcurrency {
				return o, name, "want a whole number from 1 to 1024"
			}
		case "rate":
			o.Rate, err = strconv.ParseFloat(value, 64)
			if err != nil || !(o.Rate > 0 && o.Rate <= maxWarmRate) {
				return o, name, "want a number of requests a second"
			}
		}
	}
	return o, "", ""
}
