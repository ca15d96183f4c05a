package origin_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"deckle/origin"
)

// denied are addresses that nobody may be made to connect to.
var denied = []string{
	// This network, private networks, shared addresses, loopback, at both ends of each range.
	"0.0.0.0", "0.0.0.1", "0.1.2.3", "0.255.255.255", "10.0.0.0", "10.0.0.1", "10.1.2.3", "10.255.255.255", "100.64.0.0", "100.64.0.1",
	"100.100.100.200", "100.127.255.255", "127.0.0.0", "127.0.0.1", "127.0.1.1", "127.1.2.3", "127.255.255.254", "127.255.255.255",
	"172.16.0.0", "172.16.0.1", "172.17.0.1", "172.31.255.255", "192.168.0.0", "192.168.0.1", "192.168.1.1", "192.168.255.255",
	// Link-local and metadata.
	"169.254.0.0", "169.254.0.1", "169.254.169.253", "169.254.169.254", "169.254.170.2", "169.254.255.255", "168.63.129.16",
	"192.0.0.192", "fd00:ec2::254", "fd20:ce::254", "fe80::a9fe:a9fe",
	// Protocol assignments, documentation, benchmarking, relays.
	"192.0.0.0", "192.0.0.1", "192.0.0.8", "192.0.0.9", "192.0.0.170", "192.0.0.255", "192.0.2.0", "192.0.2.1", "192.0.2.255",
	"192.31.196.1", "192.52.193.1", "192.88.99.0", "192.88.99.1", "192.88.99.255", "192.175.48.1", "198.18.0.0", "198.18.0.1",
	"198.19.255.255", "198.51.100.0", "198.51.100.1", "198.51.100.255", "203.0.113.0", "203.0.113.1", "203.0.113.255",
	// Multicast, reserved, broadcast.
	"224.0.0.0", "224.0.0.1", "224.0.0.251", "232.1.2.3", "239.255.255.255", "240.0.0.0", "240.0.0.1", "250.1.2.3", "255.255.255.254",
	"255.255.255.255",
	// IPv6: unspecified, loopback, compatible, local, multicast, discard, segment routing, unassigned.
	"::", "::1", "::2", "::127.0.0.1", "::8.8.8.8", "::ffff", "fc00::", "fc00::1", "fd00::1", "fdff:ffff::1", "fe80::", "fe80::1",
	"fe80::1%eth0", "2606:4700::1%eth0", "febf::1", "fec0::1", "feff::1", "ff00::", "ff01::1", "ff02::1", "ff02::fb", "ff05::2", "ff0e::1",
	"ffff::1", "100::", "100::1", "100:0:0:1::1", "5f00::1", "200::1", "400::1", "1000::1", "4000::1", "8000::1", "e000::1", "1fff:ffff::1",
	// IPv6: protocol assignments, documentation, sinks.
	"2001::", "2001:1::1", "2001:1::2", "2001:2::1", "2001:3::1", "2001:4:112::1", "2001:10::1", "2001:20::1", "2001:30::1",
	"2001:1ff:ffff::1", "2001:db8::", "2001:db8::1", "2001:db8:ffff::1", "2620:4f:8000::1", "3fff::", "3fff::1", "3fff:fff::1",
	// IPv4 carried by IPv6, private and public alike: mapped, translated, NAT64, 6to4, Teredo, ISATAP.
	"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8",
	"64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::8.8.8.8", "64:ff9b:1::127.0.0.1",
	"64:ff9b:1::8.8.8.8", "64:ff9b:1:ffff::1", "64:ff9b:2::1", "2002:7f00:1::1", "2002:a00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1",
	"2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:0:808:808::f7f7:f7f7", "2a00:1450::5efe:127.0.0.1", "2a00:1450::200:5efe:10.0.0.1",
	"2a00:1450::5efe:8.8.8.8", "fe80::5efe:169.254.169.254",
}

var public = []string{
	"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1", "168.63.129.15",
	"168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0",
	"192.31.195.255", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255",
	"198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255", "2000::1", "2001:200::1", "2001:4860:4860::8888", "2001:db7::1",
	"2001:db9::1", "2003::1", "2606:4700:4700::1111", "2620:4f:7fff::1", "2620:4f:8001::1", "2a00:1450:4001::200e", "3ffe::1", "3fff:1000::1",
}

func TestGuard(t *testing.T) {
	if len(denied) < 120 {
		t.Errorf("%d denied addresses, want 120 at least", len(denied))
	}
	var g origin.Guard
	for _, text := range denied {
		if err := g.Check(netip.AddrPortFrom(netip.MustParseAddr(text), 443)); !errors.Is(err, origin.ErrForbidden) {
			t.Errorf("%s: %v, want ErrForbidden", text, err)
		}
	}
	for _, text := range public {
		if err := g.Check(netip.AddrPortFrom(netip.MustParseAddr(text), 80)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestGuardAllow(t *testing.T) {
	tests := []struct {
		allow []string
		addr  string
		want  bool
	}{
		{[]string{"127.0.0.0/8"}, "127.0.0.1", true},
		{[]string{"127.0.0.0/8"}, "::ffff:127.0.0.1", false},
		{[]string{"127.0.0.0/8"}, "10.0.0.1", false},
		{[]string{"127.0.0.0/8"}, "8.8.8.8", true},
		{[]string{"10.1.0.0/16"}, "10.1.255.255", true},
		{[]string{"10.1.0.0/16"}, "10.2.0.0", false},
		{[]string{"::1/128"}, "::1", true},
		{[]string{"fd00::/8"}, "fd12:3456::1", true},
		{[]string{"fe80::/10"}, "fe80::1%eth0", false},
		{[]string{"0.0.0.0/0"}, "169.254.169.254", true},
		{[]string{"::/0"}, "fc00::1", true},
		{[]string{"::/0"}, "169.254.169.254", false},
		// Ranges open carried addresses only when they are narrow and the carried one is allowed too.
		{[]string{"::/0"}, "64:ff9b::8.8.8.8", false},
		{[]string{"64:ff9b::/32"}, "64:ff9b::8.8.8.8", false},
		{[]string{"64:ff9b::/96"}, "64:ff9b::8.8.8.8", true},
		{[]string{"64:ff9b::/96"}, "64:ff9b::10.0.0.1", false},
		{[]string{"64:ff9b::/96", "10.0.0.0/8"}, "64:ff9b::10.0.0.1", true},
		{[]string{"64:ff9b:1::/48"}, "64:ff9b:1::8.8.8.8", false},
		{[]string{"64:ff9b:1:2::/96"}, "64:ff9b:1:2::8.8.8.8", true},
		{[]string{"64:ff9b:1:2::/96"}, "64:ff9b:1:2::169.254.169.254", false},
		{[]string{"2002::/16"}, "2002:808:808::1", false},
		{[]string{"2002:808:808::/96"}, "2002:808:808::1", true},
		{[]string{"2002:a00:1::/96"}, "2002:a00:1::1", false},
		{[]string{"2001::/32"}, "2001:0:808:808::f7f7:f7f7", false},
		{[]string{"2001:0:808:808::/96"}, "2001:0:808:808::f7f7:f7f7", true},
		{[]string{"2001:0:808:808::/96"}, "2001:0:808:808::80ff:fffe", false},
		{[]string{"2a00:1450::5efe:0:0/96"}, "2a00:1450::5efe:8.8.8.8", true},
		{[]string{"2a00:1450::5efe:0:0/96"}, "2a00:1450::5efe:127.0.0.1", false},
	}
	for _, test := range tests {
		var g origin.Guard
		for _, text := range test.allow {
			g.Allow = append(g.Allow, netip.MustParsePrefix(text))
		}
		err := g.Check(netip.AddrPortFrom(netip.MustParseAddr(test.addr), 443))
		if (err == nil) != test.want || err != nil && !errors.Is(err, origin.ErrForbidden) {
			t.Errorf("allowing %v, %s: %v, want allowed: %v", test.allow, test.addr, err, test.want)
		}
	}
}

func TestGuardControl(t *testing.T) {
	tests := []struct {
		network, address string
		ports            []uint16
		want             bool
	}{
		{"tcp4", "8.8.8.8:80", nil, true},
		{"tcp4", "8.8.8.8:443", nil, true},
		{"tcp6", "[2606:4700::1]:443", nil, true},
		{"tcp4", "8.8.8.8:22", nil, false},
		{"tcp4", "8.8.8.8:0", nil, false},
		{"tcp4", "8.8.8.8:8080", []uint16{8080}, true},
		{"tcp4", "8.8.8.8:80", []uint16{8080}, false},
		{"tcp4", "127.0.0.1:80", nil, false},
		{"tcp6", "[::1]:80", nil, false},
		{"tcp6", "[fe80::1%lo]:80", nil, false},
		{"udp4", "8.8.8.8:80", nil, false},
		{"unix", "/run/docker.sock", nil, false},
		{"tcp", "8.8.8.8:80", nil, false},
		{"tcp4", "example.org:80", nil, false},
		{"tcp4", "8.8.8.8", nil, false},
		{"tcp4", "", nil, false},
		{"tcp4", "0x7f.1:80", nil, false},
		{"tcp4", "2130706433:80", nil, false},
		{"tcp4", "0177.0.0.1:80", nil, false},
		{"tcp4", "127.1:80", nil, false},
	}
	for _, test := range tests {
		g := origin.Guard{Ports: test.ports}
		err := g.Control(test.network, test.address, nil)
		if (err == nil) != test.want || err != nil && !errors.Is(err, origin.ErrForbidden) {
			t.Errorf("%s %s with ports %v: %v, want allowed: %v", test.network, test.address, test.ports, err, test.want)
		}
		if again := g.ControlContext(t.Context(), test.network, test.address, nil); fmt.Sprint(again) != fmt.Sprint(err) {
			t.Errorf("ControlContext: %v, Control: %v", again, err)
		}
	}
}

// TestGuardAtDial connects for real: what is connected to counts, however it was spelled.
func TestGuardAtDial(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	target := netip.MustParseAddrPort(listener.Addr().String())
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1", "0.0.0.0"} {
		g := origin.Guard{Ports: []uint16{target.Port()}}
		dialer := net.Dialer{ControlContext: g.ControlContext}
		conn, err := dialer.DialContext(context.Background(), "tcp", net.JoinHostPort(host, port))
		if !errors.Is(err, origin.ErrForbidden) {
			t.Errorf("dial %s: %v, want ErrForbidden", host, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	g := origin.Guard{Ports: []uint16{target.Port()}, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	dialer := net.Dialer{ControlContext: g.ControlContext}
	conn, err := dialer.DialContext(context.Background(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatalf("dial what is allowed: %v", err)
	}
	_ = conn.Close()
}

// FuzzIPGuard: what passes is global unicast by the standard library's own notions, carries no IPv4 address, and an IPv4
// address passes through a carrier that the operator opened just when it passes by itself.
func FuzzIPGuard(f *testing.F) {
	for _, text := range append(denied, public...) {
		b := netip.MustParseAddr(text).WithZone("").As16()
		f.Add(b[:], uint16(443))
	}
	carriers := func(v4 [4]byte) []netip.Addr {
		var list []netip.Addr
		for _, prefix := range []string{"::ffff:0:0", "64:ff9b::", "64:ff9b:1:2:3:4::", "2a00:1450::5efe:0:0", "2a00:1450::200:5efe:0:0"} {
			b := netip.MustParseAddr(prefix).As16()
			copy(b[12:], v4[:])
			list = append(list, netip.AddrFrom16(b))
		}
		list = append(list, netip.AddrFrom16([16]byte{0x20, 0x02, v4[0], v4[1], v4[2], v4[3], 15: 1}))
		teredo := [16]byte{0x20, 0x01, 4: 8, 5: 8, 12: ^v4[0], 13: ^v4[1], 14: ^v4[2], 15: ^v4[3]}
		return append(list, netip.AddrFrom16(teredo))
	}
	f.Fuzz(func(t *testing.T, raw []byte, port uint16) {
		if len(raw) < 16 {
			return
		}
		addr := netip.AddrFrom16([16]byte(raw[:16]))
		v4 := netip.AddrFrom4([4]byte(raw[12:16]))
		var g origin.Guard
		for _, a := range []netip.Addr{addr, v4} {
			target := netip.AddrPortFrom(a, port)
			passes := g.Control("tcp6", target.String(), nil) == nil
			if passes && (port != 80 && port != 443 || a.Is4In6() || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified()) {
				t.Fatalf("%v passes", target)
			}
			if passes != (g.Check(target) == nil) {
				t.Fatalf("Control and Check differ on %v", target)
			}
		}
		passes := g.Check(netip.AddrPortFrom(v4, 443)) == nil
		for _, carrier := range carriers(v4.As4()) {
			target := netip.AddrPortFrom(carrier, 443)
			if g.Check(target) == nil {
				t.Fatalf("%v passes unopened", target)
			}
			opened := origin.Guard{Allow: []netip.Prefix{netip.PrefixFrom(carrier, 128)}}
			if got := opened.Check(target) == nil; got != passes {
				t.Fatalf("%v opened: %v; %v by itself: %v", target, got, v4, passes)
			}
		}
	})
}
