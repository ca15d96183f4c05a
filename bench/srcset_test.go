package bench

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/valyala/fasthttp"
)

// TestSrcset: each source is asked for once in every width and format, the targets share the sources, and too few of them are
// an error before anything is asked.
func TestSrcset(t *testing.T) {
	var servers [2]*imageServer
	for i := range servers {
		servers[i] = startServer(t, func(ctx *fasthttp.RequestCtx, _ int64) bool {
			ctx.SetContentType("image/webp")
			if bytes.HasSuffix(ctx.Path(), []byte(".jpg")) {
				ctx.SetContentType("image/jpeg")
			}
			ctx.SetBodyString("picture")
			return true
		})
	}
	a, b := servers[0], servers[1]
	c := config(a, b)
	c.Workload, c.Connections, c.WarmUp, c.Requests, c.Rounds = Srcset, 0, 0, 2*srcsetSize(), 2
	c.Sources = []string{"s0", "s1", "s2", "s3", "s4"}
	report := run(t, c)
	if got := report.Config.Connections; got != srcsetSize() {
		t.Errorf("%d connections; want %d", got, srcsetSize())
	}
	for _, server := range []*imageServer{a, b} {
		for _, source := range c.Sources {
			for _, width := range SrcsetWidths {
				for _, format := range SrcsetFormats {
					target := fmt.Sprintf("/%s_%d_%d.%s", source, width, width, format)
					if server.asked[target] != 1 {
						t.Errorf("%s was asked for %d times", target, server.asked[target])
					}
				}
			}
		}
		if len(server.asked) != len(c.Sources)*srcsetSize() {
			t.Errorf("%d different pictures were asked for", len(server.asked))
		}
	}
	c.Sources = c.Sources[:4]
	if _, err := Run(t.Context(), c, nil); err == nil {
		t.Error("four sources were enough for five sets")
	}
	c.Requests = 0
	if _, err := Run(t.Context(), c, nil); err == nil {
		t.Error("a srcset went by time")
	}
}
