package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"deckle/admin"
	"deckle/catalog"
	"deckle/fleet"
	"deckle/ingest"
	"deckle/label"
	"deckle/label/builtin"
	"deckle/label/rekognition"
	"deckle/label/sidecar"
	"deckle/origin"
)

// labelSettings are the flags about what machines say of pictures.
type labelSettings struct {
	Label           string `help:"Who labels pictures that are published, separated by commas: builtin (colours, and what kind of picture it is; asks nobody), sidecar=URL (a model server of yours), rekognition (Amazon's, which is paid for by the picture). Default: nobody." placeholder:"LABELER,..."`
	LabelThresholds string `default:"object=70,face=70,celebrity=70,unsafe=70,text=70" help:"Least confidences at which what sidecar and rekognition say is kept, by category, as in unsafe=50,text=90; categories that are not named keep all."`
	LabelWorkers    string `default:"2" help:"Pictures that one node labels at one time; it renders for one of them, behind viewers."`
	LabelTimeout    string `default:"30s" help:"How long one labeler may take over one picture."`
	LabelSidecarKey string `help:"What the sidecar is shown, as Authorization: Bearer KEY." placeholder:"KEY"`
	LabelDetectors  string `default:"objects,faces,celebrities,unsafe,text" help:"What Rekognition is asked for, separated by commas; each is paid for by itself."`
	LabelRegion     string `help:"AWS region of Rekognition. Default: as the environment says." placeholder:"REGION"`
	LabelEndpoint   string `help:"Server in place of Amazon's for Rekognition." placeholder:"URL"`
}

// labelling is labelSettings, read.
type labelling struct {
	builtin     bool
	sidecar     *sidecar.Config     // nil for none
	rekognition *rekognition.Config // nil for none
	thresholds  label.Thresholds
	workers     int
	timeout     time.Duration // of one labeler
}

// on tells whether anybody labels.
func (l labelling) on() bool { return l.builtin || l.sidecar != nil || l.rekognition != nil }

// resolve reads the settings; faults are kept in r.
func (s *labelSettings) resolve(r *reader) labelling {
	l := labelling{
		thresholds: s.thresholds(r), workers: r.number("label-workers", s.LabelWorkers, 0, 64),
		timeout: r.duration("label-timeout", s.LabelTimeout, 100*time.Millisecond),
	}
	for _, entry := range list(s.Label) {
		name, at, _ := strings.Cut(entry, "=")
		switch {
		case name == "builtin" && at == "":
			l.builtin = true
		case name == "sidecar" && at != "" && l.sidecar == nil:
			l.sidecar = &sidecar.Config{URL: s.server(r, "label", at), Key: s.LabelSidecarKey, Timeout: l.timeout}
		case name == "rekognition" && at == "":
			l.rekognition = &rekognition.Config{
				Region: s.LabelRegion, Endpoint: s.LabelEndpoint, Detectors: list(s.LabelDetectors), Thresholds: l.thresholds, Timeout: l.timeout,
			}
		default:
			r.fault("label", name, "builtin, one sidecar=URL, and rekognition")
		}
	}
	if s.LabelSidecarKey != "" && l.sidecar == nil {
		r.fault("label-sidecar-key", "****", "--label sidecar=URL beside it")
	}
	if s.LabelEndpoint != "" {
		s.server(r, "label-endpoint", s.LabelEndpoint)
	}
	for _, d := range list(s.LabelDetectors) {
		if !slices.Contains(rekognition.Detectors(), d) {
			r.fault("label-detectors", d, "names of "+strings.Join(rekognition.Detectors(), ", "))
		}
	}
	return l
}

// server reads a URL that may hold a key: faults do not show it.
func (s *labelSettings) server(r *reader, flag, at string) *url.URL {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		r.fault(flag, "****", "an http:// or https:// URL without user and password")
		return &url.URL{}
	}
	return u
}

func (s *labelSettings) thresholds(r *reader) label.Thresholds {
	t := label.Thresholds{}
	for _, entry := range list(s.LabelThresholds) {
		category, text, _ := strings.Cut(entry, "=")
		least, err := strconv.ParseFloat(text, 64)
		if err != nil || !(least >= 0 && least <= 100) || !slices.Contains(label.Categories(), category) {
			r.fault("label-thresholds", entry, "a number from 0 to 100 for each of "+strings.Join(label.Categories(), ", "))
			continue
		}
		t[category] = least
	}
	return t
}

// reaching leaves out of a labeler's labels what does not reach the thresholds.
type reaching struct {
	label.Labeler
	thresholds label.Thresholds
}

// Label asks and leaves out.
func (k reaching) Label(ctx context.Context, p label.Picture) ([]label.Label, error) {
	labels, err := k.Labeler.Label(ctx, p)
	return k.thresholds.Keep(labels), err
}

// labelers opens who is asked.
func (n *node) labelers(ctx context.Context, c labelling) (all []label.Named, err error) {
	if c.builtin {
		all = append(all, label.Named{Name: builtin.Name, Labeler: builtin.Labeler{}})
	}
	if c.sidecar != nil {
		asked := sidecar.New(*c.sidecar)
		n.ends.add(asked.Close)
		all = append(all, label.Named{Name: sidecar.Name, Labeler: reaching{asked, c.thresholds}})
	}
	if c.rekognition != nil {
		asked, err := rekognition.New(ctx, *c.rekognition)
		if err != nil {
			return nil, fmt.Errorf("open labelers: %w", err)
		}
		n.ends.add(asked.Close)
		all = append(all, asked.Labelers()...)
	}
	return all, nil
}

// openWrites opens the write path, and what labels the pictures that come by it.
func (n *node) openWrites(ctx context.Context, sources *origin.Route, records *catalog.Catalog, versions *origin.Versions, messages fleet.Messages, m *admin.Metrics) (err error) {
	if n.labels, err = n.openLabels(ctx, sources, records, m); err != nil {
		return err
	}
	n.uploads = n.openIntake(sources, records, versions, messages)
	n.access, err = n.openAccess(ctx, records, n.uploads)
	return err
}

// openLabels has this node label pictures, its own and those of other nodes, until it ends; nil when nobody labels. It comes before
// the records are used.
func (n *node) openLabels(ctx context.Context, sources origin.Reader, records *catalog.Catalog, m *admin.Metrics) (admin.Labels, error) {
	c := n.config.labels
	if !c.on() {
		return nil, nil
	}
	asked, err := n.labelers(ctx, c)
	if err != nil {
		return nil, err
	}
	labeller := ingest.NewLabeller(ingest.LabelConfig{
		Store: sources, Catalog: records, Engine: n.gate, Limits: n.config.limits, Labelers: asked, Workers: c.workers,
		// Rendering, and the pictures that are rendered for before, take their time, too.
		Timeout: c.timeout + time.Duration(c.workers+1)*n.config.timeout, Log: n.log,
	})
	running, stop := context.WithCancel(context.Background())
	var working sync.WaitGroup
	working.Go(func() { labeller.Run(running) })
	n.ends.add(func() error { stop(); working.Wait(); return nil })
	m.Count("deckle_labelled_total", "Pictures that were labelled here.", func() float64 { return float64(labeller.Stats().Labelled) })
	m.Count("deckle_label_failures_total", "Tries to label a picture that will be repeated.", func() float64 { return float64(labeller.Stats().Failed) })
	m.Count("deckle_label_dead_total", "Pictures whose labelling was given up.", func() float64 { return float64(labeller.Stats().Dead) })
	m.Gauge("deckle_labels_waiting", "Pictures that wait to be labelled, on all nodes.", func() float64 {
		waiting, err := labeller.Waiting(running)
		if err != nil {
			return -1
		}
		return float64(waiting)
	})
	return labeller, nil
}
