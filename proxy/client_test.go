package proxy

import (
	"net"
	"net/netip"
	"testing"

	"github.com/valyala/fasthttp"
)

// TestClient: whom a request counts for, by who connected and what the header says.
func TestClient(t *testing.T) {
	behind := Forwarding{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}}
	standard := Forwarding{Trusted: behind.Trusted, Header: "Forwarded"}
	for _, test := range []struct {
		name       string
		forwarding Forwarding
		peer       string
		header     []string
		want       string // empty for nobody
	}{
		{"a viewer", Forwarding{}, "203.0.113.7", nil, "203.0.113.7/32"},
		{"a viewer of IPv6", Forwarding{}, "2001:db8:1:2:3::4", nil, "2001:db8:1:2::/64"},
		{"a viewer that makes one up", Forwarding{}, "203.0.113.7", []string{"X-Forwarded-For", "198.51.100.1"}, "203.0.113.7/32"},
		{"a private peer, nothing configured", Forwarding{}, "10.0.0.9", []string{"X-Forwarded-For", "198.51.100.1"}, ""},
		{"loopback, nothing configured", Forwarding{}, "127.0.0.1", nil, ""},
		{"a private peer that is no proxy", behind, "192.168.0.9", nil, "192.168.0.9/32"},
		{"a proxy itself", behind, "127.0.0.1", nil, ""},
		{"through a proxy", behind, "127.0.0.1", []string{"X-Forwarded-For", "198.51.100.1"}, "198.51.100.1/32"},
		{"through two", behind, "127.0.0.1", []string{"X-Forwarded-For", "198.51.100.1, 10.1.1.1"}, "198.51.100.1/32"},
		{"made up before the proxy", behind, "127.0.0.1", []string{"X-Forwarded-For", "1.1.1.1, 198.51.100.1,10.1.1.1"}, "198.51.100.1/32"},
		{"on two lines", behind, "127.0.0.1", []string{"X-Forwarded-For", "1.1.1.1", "X-Forwarded-For", "198.51.100.1"}, "198.51.100.1/32"},
		{"with a port", behind, "127.0.0.1", []string{"X-Forwarded-For", "198.51.100.1:4711"}, "198.51.100.1/32"},
		{"IPv6 with a port", behind, "127.0.0.1", []string{"X-Forwarded-For", "[2001:db8::1]:4711"}, "2001:db8::/64"},
		{"IPv6 in brackets", behind, "127.0.0.1", []string{"X-Forwarded-For", "[2001:db8::1]"}, "2001:db8::/64"},
		{"mapped", behind, "::ffff:127.0.0.1", []string{"X-Forwarded-For", "::ffff:198.51.100.1"}, "198.51.100.1/32"},
		{"a private viewer", behind, "127.0.0.1", []string{"X-Forwarded-For", "192.168.1.1"}, "192.168.1.1/32"},
		{"only proxies", behind, "127.0.0.1", []string{"X-Forwarded-For", "10.1.1.1"}, ""},
		{"no address", behind, "127.0.0.1", []string{"X-Forwarded-For", "unknown"}, "127.0.0.1/32"},
		{"empty", behind, "127.0.0.1", []string{"X-Forwarded-For", ""}, "127.0.0.1/32"},
		{"the other header", behind, "127.0.0.1", []string{"Forwarded", "for=198.51.100.1"}, ""},
		{"Forwarded", standard, "127.0.0.1", []string{"Forwarded", `for=1.1.1.1;by=x, For="198.51.100.1:80";proto=https`}, "198.51.100.1/32"},
		{"Forwarded, IPv6", standard, "127.0.0.1", []string{"Forwarded", `proto=https; for="[2001:db8::1]:80"`}, "2001:db8::/64"},
		{"Forwarded, hidden", standard, "127.0.0.1", []string{"Forwarded", "for=_secret"}, "127.0.0.1/32"},
		{"Forwarded, made up", standard, "127.0.0.1", []string{"X-Forwarded-For", "198.51.100.1", "Forwarded", "for=198.51.100.2"}, "198.51.100.2/32"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &Proxy{Config: Config{Forwarding: test.forwarding}}
			var ctx fasthttp.RequestCtx
			ctx.Init(&fasthttp.Request{}, &net.TCPAddr{IP: net.ParseIP(test.peer), Port: 1}, nil)
			for i := 0; i < len(test.header); i += 2 {
				ctx.Request.Header.Add(test.header[i], test.header[i+1])
			}
			of, ok := p.client(&ctx)
			got := ""
			if ok {
				got = of.String()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// FuzzHopAddress: whatever a header holds, what comes out is an address or a refusal, and an address that is written out is
// read back as itself.
func FuzzHopAddress(f *testing.F) {
	for _, seed := range []string{"198.51.100.1", "[2001:db8::1]:80", `for="[::1]"`, "::ffff:1.2.3.4", "fe80::1%eth0", "", "for=", ","} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		for _, header := range []string{"X-Forwarded-For", "Forwarded"} {
			a, ok := hopAddress(entry, header)
			if !ok {
				continue
			}
			if !a.IsValid() || a.Is4In6() || a.Zone() != "" {
				t.Errorf("%q in %s gives %v", entry, header, a)
			}
			if again, ok := hopAddress(a.String(), "X-Forwarded-For"); !ok || again != a {
				t.Errorf("%v is read back as %v", a, again)
			}
			if network(a).Bits() != 32 && network(a).Bits() != 64 {
				t.Errorf("%v counts for %v", a, network(a))
			}
		}
	})
}
