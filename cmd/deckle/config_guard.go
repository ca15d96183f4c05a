package main

import (
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"deckle/proxy"
	"deckle/transform"
)

// guardSettings are the flags that bound what strangers can take of the server.
type guardSettings struct {
	TrustedProxies  string `help:"Networks of proxies in front whose --forwarded-header names the client, separated by commas. They have no bound of connections." placeholder:"CIDR,..."`
	ForwardedHeader string `default:"X-Forwarded-For" enum:"X-Forwarded-For,Forwarded" help:"Header in which they name it: X-Forwarded-For or Forwarded."`

	// Ten renders a second, going on, are about a third of what two cores render; six hundred at once are a page of new
	// pictures many times over.
	ClientBudget string `default:"600/m" help:"New variants that one client (an IPv4 address, or a /64 of IPv6) may have rendered: N/s, N/m or N/h, or off. Without --trusted-proxies clients in private networks are not counted."`
	// What a page uses of a picture are tens of variants; at some 50 kB each this bounds what one source adds to 30 MB an hour.
	SourceBudget string `default:"6000/h" help:"New variants of one source that may be rendered, whoever asks: N/s, N/m or N/h, or off."`

	MaxConnections       string `default:"4096" help:"Connections of the edge at once; one more is closed at once."`
	MaxClientConnections string `default:"256" help:"Connections of one client at once."`
	HeaderTimeout        string `default:"5s" help:"How long a client may take over a request's headers."`
	IdleTimeout          string `default:"15s" help:"How long a connection may be idle."`
	StallTimeout         string `default:"10s" help:"How long a client may take over each 32 KiB of an answer."`
	QueueWait            string `default:"1s" help:"How long a render may wait for a slot while its queue has not been empty for 10s, before 503."`
	ErrorImage           string `help:"Picture that is shown, with the error's status, in place of one that cannot be had." placeholder:"FILE"`
	DrainDelay           string `default:"0s" help:"How long to go on accepting connections once told to stop, while readiness fails already: what the balancer takes to notice."`
	MemoryLimit          string `default:"auto" help:"Memory that the server and its renderers may take: near it the memory tier shrinks, then misses and then connections are refused. auto is the container's own limit; off for none."`
}

// guarding is guardSettings, read.
type guarding struct {
	connections  proxy.Connections
	forwarding   proxy.Forwarding
	budgets      proxy.Budgets
	queueWait    time.Duration
	errorPicture *proxy.ErrorPicture
	drainDelay   time.Duration
	memoryLimit  int64 // bytes; 0 for none
}

// resolve reads the settings; faults are kept in r.
func (s *guardSettings) resolve(r *reader) guarding {
	g := guarding{
		connections: proxy.Connections{
			Most: r.number("max-connections", s.MaxConnections, 0, 1<<20), PerClient: r.number("max-client-connections", s.MaxClientConnections, 0, 1<<20),
			Header: r.duration("header-timeout", s.HeaderTimeout, time.Millisecond), Idle: r.duration("idle-timeout", s.IdleTimeout, time.Millisecond),
			Stall: r.duration("stall-timeout", s.StallTimeout, time.Millisecond),
		},
		forwarding:   proxy.Forwarding{Header: s.ForwardedHeader},
		budgets:      proxy.Budgets{Client: r.budget("client-budget", s.ClientBudget), Source: r.budget("source-budget", s.SourceBudget)},
		queueWait:    r.duration("queue-wait", s.QueueWait, 0),
		errorPicture: s.errorPicture(r),
		drainDelay:   r.duration("drain-delay", s.DrainDelay, 0),
	}
	for _, entry := range list(s.TrustedProxies) {
		network, err := netip.ParsePrefix(entry)
		if address, single := netip.ParseAddr(entry); single == nil {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			r.fault("trusted-proxies", entry, "a network as in 10.1.0.0/16, or an address")
		}
		g.forwarding.Trusted = append(g.forwarding.Trusted, network)
	}
	switch s.MemoryLimit {
	case "auto":
		g.memoryLimit = containerLimit()
	case "off":
	default:
		g.memoryLimit = r.bytes("memory-limit", s.MemoryLimit)
	}
	return g
}

func (r *reader) budget(name, value string) proxy.Budget {
	b, err := proxy.ParseBudget(value)
	if err != nil {
		r.fault(name, value, err.Error())
	}
	return b
}

// maxErrorPicture bounds the picture for errors, bytes: it is sent when the server has least to spare.
const maxErrorPicture = 64 << 10

// errorPicture reads the picture for errors. Its type is told by its bytes.
func (s *guardSettings) errorPicture(r *reader) *proxy.ErrorPicture {
	if s.ErrorImage == "" {
		return nil
	}
	body, err := os.ReadFile(s.ErrorImage)
	if err != nil {
		r.fault("error-image", s.ErrorImage, "a file that can be read")
		return nil
	}
	media := http.DetectContentType(body)
	if header, err := transform.DefaultLimits().ReadHeader(body); err == nil {
		media = header.Format.MediaType()
	}
	if !strings.HasPrefix(media, "image/") || len(body) > maxErrorPicture {
		r.fault("error-image", s.ErrorImage, "a picture of at most 64 KiB")
		return nil
	}
	return &proxy.ErrorPicture{Body: body, ContentType: media}
}
