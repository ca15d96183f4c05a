package proxy

import (
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"
)

// Forwarding says whom to believe when a request came through others.
type Forwarding struct {
	Trusted []netip.Prefix // peers whose header is believed, and that are no clients themselves
	// Header is the one that they write, X-Forwarded-For unless set; Forwarded (RFC 7239) is known too. The other is not
	// looked at, because a proxy that does not know a header passes on what a stranger wrote in it.
	Header string
}

func (f *Forwarding) trusts(a netip.Addr) bool {
	for _, p := range f.Trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// hides tells a peer that most likely is a proxy with many viewers behind it: one whose address is not public, as long as none
// are configured.
func (f *Forwarding) hides(a netip.Addr) bool {
	return len(f.Trusted) == 0 && (a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast())
}

// maxHops bounds how many entries of a header are read, from the right.
const maxHops = 32

// client returns the network that a request counts for: the peer's, or the right-most address in the header that is no
// trusted proxy's. ok is false for one that is counted for nobody: of a trusted proxy itself, or, as long as none are
// configured, of a peer whose address is not public, which most likely is a proxy that hides all its viewers.
func (p *Proxy) client(ctx *fasthttp.RequestCtx) (of netip.Prefix, ok bool) {
	peer := addressOf(ctx.RemoteAddr())
	if !p.Forwarding.trusts(peer) {
		return network(peer), peer.IsValid() && !p.Forwarding.hides(peer)
	}
	name := p.Forwarding.Header
	if name == "" {
		name = fasthttp.HeaderXForwardedFor
	}
	lines := ctx.Request.Header.PeekAll(name)
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		line := string(lines[i])
		for more := true; more && hops < maxHops; hops++ {
			var entry string
			line, entry, more = cutLast(line)
			address, good := hopAddress(entry, name)
			if !good {
				return network(peer), true // what the trusted proxy wrote cannot be read: all such share the proxy's own budget
			}
			if !p.Forwarding.trusts(address) {
				return network(address), true
			}
		}
	}
	return netip.Prefix{}, false
}

// cutLast splits a list at its last comma.
func cutLast(list string) (rest, last string, more bool) {
	comma := strings.LastIndexByte(list, ',')
	if comma < 0 {
		return "", list, false
	}
	return list[:comma], list[comma+1:], true
}

// hopAddress reads one entry: an address, with a port or without, in brackets or not; in Forwarded the for parameter's.
func hopAddress(entry, header string) (netip.Addr, bool) {
	entry = strings.TrimSpace(entry)
	if strings.EqualFold(header, fasthttp.HeaderForwarded) {
		entry = forwardedFor(entry)
	}
	if a, err := netip.ParseAddrPort(entry); err == nil {
		return a.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]"))
	return a.Unmap().WithZone(""), err == nil
}

// forwardedFor returns the for parameter of one element of Forwarded (RFC 7239 section 4), unquoted.
func forwardedFor(element string) string {
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if strings.EqualFold(name, "for") {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}
