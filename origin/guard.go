package origin

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// Guard decides which addresses an upstream may have. It looks at the address that is about to be connected to, at every
// dial, so that neither a name that changes its address, nor a redirect, nor an odd spelling of a number gets past it. The
// zero value allows globally reachable unicast addresses on ports 80 and 443.
type Guard struct {
	// Allow names address ranges that the operator opens besides. Where an address carries an IPv4 address (mapped, NAT64,
	// 6to4, Teredo, ISATAP), a range opens it only when it is at least 96 bits long, and the carried address must be allowed
	// in its own right too.
	Allow []netip.Prefix
	// Ports replaces the default ports when it is not empty.
	Ports []uint16
}

// minCarrierBits keeps a wide range such as ::/0 from opening translated addresses that the operator did not think of.
const minCarrierBits = 96

var defaultPorts = []uint16{80, 443}

// global6 is what IANA hands out as global unicast; everything outside it is local, translated, multicast or unassigned
// (IANA IPv6 Address Space registry).
var global6 = netip.MustParsePrefix("2000::/3")

// denied lists the ranges that are not globally reachable, from the IANA IPv4 and IPv6 Special-Purpose Address registries.
// The IPv6 ones outside global6 need no row.
var denied = parsePrefixes(
	"0.0.0.0/8",         // this network, RFC 791
	"10.0.0.0/8",        // private, RFC 1918
	"100.64.0.0/10",     // carrier-grade NAT, RFC 6598; a cloud's metadata at 100.100.100.200
	"127.0.0.0/8",       // loopback, RFC 1122
	"168.63.129.16/32",  // a cloud's host agent, on an address that looks public
	"169.254.0.0/16",    // link-local, RFC 3927; most clouds' metadata
	"172.16.0.0/12",     // private, RFC 1918
	"192.0.0.0/24",      // protocol assignments, RFC 6890; a cloud's metadata at 192.0.0.192
	"192.0.2.0/24",      // documentation, RFC 5737
	"192.31.196.0/24",   // AS112, RFC 7535: a sink, not a server
	"192.52.193.0/24",   // automatic multicast tunnelling, RFC 7450
	"192.88.99.0/24",    // 6to4 relays, deprecated by RFC 7526
	"192.168.0.0/16",    // private, RFC 1918
	"192.175.48.0/24",   // AS112, RFC 7534
	"198.18.0.0/15",     // benchmarking, RFC 2544
	"198.51.100.0/24",   // documentation, RFC 5737
	"203.0.113.0/24",    // documentation, RFC 5737
	"224.0.0.0/4",       // multicast, RFC 5771
	"240.0.0.0/4",       // reserved, RFC 1112, and broadcast, RFC 919
	"2001::/23",         // protocol assignments, RFC 2928: Teredo, benchmarking, ORCHID, relays
	"2001:db8::/32",     // documentation, RFC 3849
	"2002::/16",         // 6to4, RFC 3056
	"2620:4f:8000::/48", // AS112, RFC 7534
	"3fff::/20",         // documentation, RFC 9637
)

var (
	mapped4   = netip.MustParsePrefix("::ffff:0:0/96")  // RFC 4291 section 2.5.5.2
	nat64     = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052 section 2.1
	nat64Site = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
	sixToFour = netip.MustParsePrefix("2002::/16")      // RFC 3056 section 2
	teredo    = netip.MustParsePrefix("2001::/32")      // RFC 4380 section 4
)

func parsePrefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// Control is for net.Dialer.Control: it lets a connection through or answers an error that wraps ErrForbidden.
func (g Guard) Control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: not a TCP connection", ErrForbidden)
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: not an address and a port", ErrForbidden)
	}
	return g.Check(target)
}

// ControlContext is Control for net.Dialer.ControlContext.
func (g Guard) ControlContext(_ context.Context, network, address string, c syscall.RawConn) error {
	return g.Control(network, address, c)
}

// Check tells whether target may be connected to. Its error wraps ErrForbidden and names the address, so it is for the
// operator's log.
func (g Guard) Check(target netip.AddrPort) error {
	ports := g.Ports
	if len(ports) == 0 {
		ports = defaultPorts
	}
	if !slices.Contains(ports, target.Port()) {
		return fmt.Errorf("%w: port %d", ErrForbidden, target.Port())
	}
	if !g.allows(target.Addr()) {
		return fmt.Errorf("%w: %s", ErrForbidden, target.Addr())
	}
	return nil
}

func (g Guard) allows(addr netip.Addr) bool {
	// A zone only means something on a link, and a range never contains an address that has one.
	if !addr.IsValid() || addr.Zone() != "" {
		return false
	}
	if inner, carries := carried(addr); carries {
		return g.opened(addr, minCarrierBits) && g.allows(inner)
	}
	return g.opened(addr, 0) || reachable(addr)
}

// opened tells whether the operator's ranges of at least minBits hold addr.
func (g Guard) opened(addr netip.Addr, minBits int) bool {
	return slices.ContainsFunc(g.Allow, func(p netip.Prefix) bool {
		return p.Bits() >= minBits && p.Contains(addr)
	})
}

// reachable tells whether addr is globally reachable unicast.
func reachable(addr netip.Addr) bool {
	if addr.Is6() && !global6.Contains(addr) {
		return false
	}
	return !slices.ContainsFunc(denied, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// carried returns the IPv4 address that an IPv6 address stands for, where packets to the one may end at the other.
func carried(addr netip.Addr) (netip.Addr, bool) {
	if addr.Is4() {
		return netip.Addr{}, false
	}
	b := addr.As16()
	switch {
	case mapped4.Contains(addr), nat64.Contains(addr), nat64Site.Contains(addr), isISATAP(b):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case teredo.Contains(addr):
		// Teredo writes the client's address inverted.
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}), true
	}
	return netip.Addr{}, false
}

// isISATAP finds the interface identifier of RFC 5214 section 6.1, which may follow any prefix.
func isISATAP(b [16]byte) bool {
	return (b[8] == 0 || b[8] == 2) && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}
