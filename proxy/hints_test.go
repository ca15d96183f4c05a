package proxy

import (
	"strings"
	"testing"
)

// TestHints: hints choose what an .auto URL leaves open, on the steps of a ladder; what it says itself stands.
func TestHints(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	e.do("GET", "/cat_30_20.auto", "DPR", "2").want(t, 200, "Accept-CH", "", "Content-DPR", "", "Vary", "Accept")
	e.proxy.readings = newReadings()
	e.proxy.ClientHints = true
	tests := []struct {
		target  string
		headers []string
		body    string // begins with
		vary    string
		dpr     string
	}{
		{"/cat_30_20.auto", nil, "_30_20.auto ", "Accept, Sec-CH-DPR, DPR, Save-Data", ""},
		{"/cat_30_20.auto", []string{"DPR", "2"}, "_60_40.auto ", "Accept, Sec-CH-DPR, DPR, Save-Data", "2"},
		{"/cat_30_20.auto", []string{"DPR", "1.7"}, "_60_40.auto ", "Accept, Sec-CH-DPR, DPR, Save-Data", "2"},
		{"/cat_30_20.auto", []string{"Sec-CH-DPR", "1.25", "DPR", "3"}, "_45_30.auto ", "Accept, Sec-CH-DPR, DPR, Save-Data", "1.5"},
		{"/cat_30_20.auto", []string{"DPR", "99"}, "_90_60.auto ", "Accept, Sec-CH-DPR, DPR, Save-Data", "3"},
		{"/cat_30_20.auto", []string{"DPR", "0.5"}, "_30_20.auto ", "Accept, Sec-CH-DPR, DPR, Save-Data", "1"},
		{"/cat_30_20.auto", []string{"DPR", "two"}, "_30_20.auto ", "Accept, Sec-CH-DPR, DPR, Save-Data", ""},
		{"/cat_30_20.auto", []string{"DPR", "-1"}, "_30_20.auto ", "Accept, Sec-CH-DPR, DPR, Save-Data", ""},
		{"/cat_30_20.auto", []string{"DPR", "0"}, "_30_20.auto ", "Accept, Sec-CH-DPR, DPR, Save-Data", ""},
		{"/cat_30_20.auto", []string{"DPR", "2", "Save-Data", "on"}, "_30_20.auto?quality=45", "Accept, Sec-CH-DPR, DPR, Save-Data", ""},
		{"/cat_30_20.auto", []string{"Save-Data", "off"}, "_30_20.auto ", "Accept, Sec-CH-DPR, DPR, Save-Data", ""},
		{"/cat_30_20.auto", []string{"Width", "500"}, "_30_20.auto ", "Accept, Sec-CH-DPR, DPR, Save-Data", ""},
		{"/cat_30_20_1x.auto", []string{"DPR", "2"}, "_30_20.auto ", "Accept, Save-Data", ""},
		{"/cat_30_20.auto?quality=80", []string{"DPR", "2", "Save-Data", "on"}, "_60_40.auto?quality=80", "Accept, Sec-CH-DPR, DPR", "2"},
		{"/cat.auto?blur=1", []string{"Width", "500"}, "_640_0.auto?blur=1", "Accept, Sec-CH-Width, Width, Save-Data", ""},
		{"/cat.auto?blur=1", []string{"Sec-CH-Width", "160.2", "Width", "3000"}, "_240_0.auto?blur=1", "Accept, Sec-CH-Width, Width, Save-Data", ""},
		{"/cat.auto?blur=1", []string{"Width", "999999999"}, "_3840_0.auto?blur=1", "Accept, Sec-CH-Width, Width, Save-Data", ""},
		{"/cat.auto?blur=1", []string{"Width", "1e9", "DPR", "3"}, ".auto?blur=1", "Accept, Sec-CH-Width, Width, Save-Data", ""},
		{"/cat_3000_20.auto", []string{"DPR", "2"}, "_4096_40.auto ", "Accept, Sec-CH-DPR, DPR, Save-Data", ""},
	}
	for _, test := range tests {
		got := e.do("GET", test.target, append(test.headers, "Accept", "*/*")...)
		got.want(t, 200, "Accept-CH", "Sec-CH-DPR", "Content-DPR", test.dpr)
		if !strings.HasPrefix(got.body, test.body) || got.Header.Get("Vary") != test.vary {
			t.Errorf("%s %q: %q, Vary %q", test.target, test.headers, got.body, got.Header.Get("Vary"))
		}
		again := e.do("GET", test.target, append(test.headers, "Accept", "*/*", "If-None-Match", got.Header.Get("Etag"))...)
		again.want(t, 304, "Vary", test.vary)
	}
	for _, target := range []string{"/cat_30_20.webp", "/cat.jpg", "/cat_30_20.png?allow_webp=true"} {
		got := e.do("GET", target, "DPR", "2", "Width", "500", "Save-Data", "on")
		got.want(t, 200, "Accept-CH", "", "Content-DPR", "")
		if vary := got.Header.Get("Vary"); strings.Contains(vary, "DPR") || strings.Contains(got.body, "_60_") {
			t.Errorf("%s: Vary %q, %s", target, vary, got.body)
		}
	}
}

// TestHintsWithinRules: a configured ladder holds for hints too, presets-only leaves no size to them, and a redirect carries
// what they chose.
func TestHintsWithinRules(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	e.proxy.ClientHints, e.proxy.Sizes, e.proxy.Snap = true, Ladder{20, 40, 80}, true
	if got := e.do("GET", "/cat_20_20.auto", "DPR", "1.5"); !strings.HasPrefix(got.body, "_40_40") {
		t.Errorf("a ratio left the ladder: %s", got.body)
	}
	if got := e.do("GET", "/cat.auto?blur=1", "Width", "41"); !strings.HasPrefix(got.body, "_80_0") {
		t.Errorf("a width left the ladder: %s", got.body)
	}
	e.proxy.AutoRedirect = true
	e.do("GET", "/cat_20_20.auto?fit=crop", "DPR", "2", "Accept", "image/webp").want(t, 302, "Location", "/cat_40_40.webp?fit=crop")
	e.do("GET", "/cat_20_20.auto?fit=crop", "Save-Data", "on", "Accept", "image/webp").want(t, 302, "Location", "/cat_20_20.webp?fit=crop&quality=45")

	strict := newEdge(t)
	strict.keep("cat", cat())
	strict.proxy.ClientHints, strict.proxy.PresetsOnly = true, true
	strict.do("GET", "/cat.auto", "Width", "500", "Accept", "*/*").want(t, 200, "Cache-Status", "original", "Vary", "Accept")
}
