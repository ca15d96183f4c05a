package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"deckle/ingest"
	"deckle/internal/testimage"
)

// demoID names the picture that --demo puts in.
const demoID = "demo"

// demo uploads a picture made here, the way any other gets in, and prints URLs that show what can be done with it.
func (n *node) demo(ctx context.Context, stdout io.Writer) error {
	grant, err := n.uploads.Grant(ctx, ingest.GrantRequest{ID: demoID})
	switch {
	case errors.Is(err, ingest.ErrExists): // from an earlier start
	case errors.Is(err, ingest.ErrHeld): // an earlier start was stopped between the two steps
		return fmt.Errorf("put the demo picture in: %w; start again when its token has expired", err)
	case err != nil:
		return fmt.Errorf("put the demo picture in: %w", err)
	default:
		picture := testimage.JPEG(testimage.Demo(2400, 1600), 90)
		_, err = n.uploads.Receive(ctx, ingest.Upload{ID: demoID, Token: grant.Token, Body: bytes.NewReader(picture)})
		if err != nil {
			return fmt.Errorf("put the demo picture in: %w", err)
		}
	}
	_, port, err := net.SplitHostPort(n.edgeAt.Addr().String())
	if err != nil {
		return err
	}
	base := "http://localhost:" + port + "/" + demoID
	_, err = fmt.Fprintf(stdout, `Deckle is running. Open
  %[1]s.jpg                                  the original
  %[1]s_600_400_2x.webp                      600x400 CSS pixels for a screen of twice the density
  %[1]s_400_400.avif?fit=crop&gravity=east   a square, cut to its right side
Stop it with Ctrl-C.
`, base)
	return err
}
