package main

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"deckle/event"
)

// eventSettings are the flags of who is told what happens.
type eventSettings struct {
	WebhookURL       string `name:"webhook-url" help:"Endpoints that are told of events, separated by commas; a name in front, as in shop=https://host/path, is what the other settings and the records know one by, else it is its host." placeholder:"[NAME=]URL,..."`
	WebhookSecret    string `help:"What deliveries are signed with, or NAME=SECRET for each endpoint, separated by commas." placeholder:"SECRET"`
	WebhookEvents    string `help:"Events that endpoints are told of, separated by commas, or NAME=EVENT+EVENT for each endpoint: uploaded, replaced, published, unpublished, rotated, deleted, restored, processed, failed, batch_complete, labelled. Default: all." placeholder:"EVENT,..."`
	WebhookTimeout   string `default:"10s" help:"How long one delivery may take."`
	WebhookRetryFor  string `default:"24h" help:"How long a delivery is tried again before it is given up; it can be replayed then."`
	WebhookRetryMost string `default:"5m" help:"Longest pause between two tries; the first is up to 1s, each further one up to four times as long."`
	WebhookPublic    bool   `help:"Deliver to public addresses only."`
	EventsKeep       string `default:"168h" help:"How long events are kept once they are delivered or given up."`

	Statsd       string `help:"statsd server that is sent counts and times, over UDP." placeholder:"HOST:PORT"`
	StatsdPrefix string `default:"image_server." help:"What the names sent to it begin with."`
}

// eventing is eventSettings, read.
type eventing struct {
	endpoints    []webhookEndpoint
	timeout      time.Duration
	backoff      event.Backoff
	keep         time.Duration
	publicOnly   bool   // deliveries to public addresses only
	statsd       string // empty for none
	statsdPrefix string
}

// webhookEndpoint is one place that is told of events.
type webhookEndpoint struct {
	name   string
	url    *url.URL
	secret string
	kinds  []string // none for all
}

// resolve reads the settings; faults are kept in r.
func (s *eventSettings) resolve(r *reader) eventing {
	e := eventing{
		endpoints:    s.endpoints(r),
		timeout:      r.duration("webhook-timeout", s.WebhookTimeout, 10*time.Millisecond),
		backoff:      event.Backoff{Most: r.duration("webhook-retry-most", s.WebhookRetryMost, time.Millisecond), For: r.duration("webhook-retry-for", s.WebhookRetryFor, time.Second)},
		keep:         r.duration("events-keep", s.EventsKeep, time.Minute),
		publicOnly:   s.WebhookPublic,
		statsdPrefix: s.StatsdPrefix,
	}
	if e.keep <= e.backoff.For {
		r.fault("events-keep", s.EventsKeep, "longer than --webhook-retry-for")
	}
	if s.Statsd != "" {
		e.statsd = r.address("statsd", s.Statsd)
	}
	if !statsdName.MatchString(s.StatsdPrefix) {
		r.fault("statsd-prefix", s.StatsdPrefix, "letters, digits and . _ -")
	}
	s.secrets(r, e.endpoints)
	s.kinds(r, e.endpoints)
	return e
}

// statsdName holds nothing that the protocol gives a meaning to.
var statsdName = regexp.MustCompile(`^[A-Za-z0-9._-]*$`)

// endpointName cannot be mistaken for the beginning of a URL.
var endpointName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// endpoints reads where events go. Faults do not show the URLs: the path of a webhook is often as good as a password.
func (s *eventSettings) endpoints(r *reader) (endpoints []webhookEndpoint) {
	seen := map[string]bool{}
	for _, entry := range list(s.WebhookURL) {
		name, at := "", entry
		if before, after, found := strings.Cut(entry, "="); found && endpointName.MatchString(before) {
			name, at = before, after
		}
		u, err := url.Parse(at)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			r.fault("webhook-url", "****", "http:// or https:// URLs without user and password, as in shop=https://host/path")
			continue
		}
		if name == "" {
			name = strings.NewReplacer(":", "-", "[", "", "]", "").Replace(u.Host)
		}
		if seen[name] {
			r.fault("webhook-url", name, "a name of its own for each endpoint, as in shop=https://host/path")
		}
		seen[name] = true
		endpoints = append(endpoints, webhookEndpoint{name: name, url: u})
	}
	return endpoints
}

// each calls set for every endpoint with the entries that have no endpoint's name in front, and then for each endpoint with its
// own value, where there is one.
func each(endpoints []webhookEndpoint, entries []string, set func(e *webhookEndpoint, value string, own bool)) {
	named := map[string]string{}
	for _, entry := range entries {
		name, value, _ := strings.Cut(entry, "=")
		if slices.ContainsFunc(endpoints, func(e webhookEndpoint) bool { return e.name == name }) {
			named[name] = value
			continue
		}
		for i := range endpoints {
			set(&endpoints[i], entry, false)
		}
	}
	for i := range endpoints {
		if value, own := named[endpoints[i].name]; own {
			set(&endpoints[i], value, true)
		}
	}
}

// secrets gives each endpoint its secret. A misspelt name must not become part of the secret of all.
func (s *eventSettings) secrets(r *reader, endpoints []webhookEndpoint) {
	each(endpoints, list(s.WebhookSecret), func(e *webhookEndpoint, secret string, own bool) {
		if !own && (e.secret != "" || strings.Contains(strings.TrimRight(secret, "="), "=")) {
			r.fault("webhook-secret", "****", "one secret, or NAME=SECRET for each endpoint, with names that --webhook-url has")
		}
		e.secret = secret
	})
	if s.WebhookSecret != "" && s.WebhookURL == "" {
		r.fault("webhook-secret", "****", "--webhook-url beside it")
	}
}

func (s *eventSettings) kinds(r *reader, endpoints []webhookEndpoint) {
	each(endpoints, list(s.WebhookEvents), func(e *webhookEndpoint, names string, own bool) {
		if own {
			e.kinds = nil
		}
		for name := range strings.SplitSeq(names, "+") {
			kind, err := event.ParseKind(name)
			if err != nil {
				r.fault("webhook-events", name, "names of events: "+err.Error())
			}
			e.kinds = append(e.kinds, string(kind))
		}
	})
	if s.WebhookEvents != "" && s.WebhookURL == "" {
		r.fault("webhook-events", s.WebhookEvents, "--webhook-url beside it")
	}
}
