package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"deckle/admin"
	"deckle/cache"
)

// purgeTimeout bounds a purge as the command sees it; one that takes longer goes on without it.
const purgeTimeout = 20 * time.Minute

// purgeCommand has finished pictures removed, or marked as out of date, everywhere.
type purgeCommand struct {
	operatorFlags `embed:""`

	Source string `xor:"scope" required:"" help:"Id of the source whose pictures to purge." placeholder:"ID"`
	Prefix string `xor:"scope" required:"" help:"Ids that begin with these segments: shop/shoes is that source and all below, shop/shoes/ only what is below." placeholder:"PREFIX"`
	Tag    string `xor:"scope" required:"" help:"As in Surrogate-Key: an id, or a folder with its slash." placeholder:"TAG"`
	All    bool   `xor:"scope" required:"" help:"Everything."`
	Soft   bool   `help:"Serve what there is once more, and render it anew behind the answer, instead of removing it."`
}

// purgeAnswer is what POST /purge says, done or refused.
type purgeAnswer struct {
	admin.PurgeReport
	Detail string `json:"detail"`
}

// Run prints what was done, a line a tier and node. It fails when something may be left.
func (p *purgeCommand) Run(stdout io.Writer) error {
	scope := cache.Scope{Source: p.Source, Prefix: p.Prefix, Tag: p.Tag, All: p.All}
	body, err := json.Marshal(struct {
		cache.Scope
		Soft bool `json:"soft"`
	}{scope, p.Soft})
	if err != nil {
		return err
	}
	request, err := p.request(context.Background(), http.MethodPost, "/purge", bytes.NewReader(body))
	if err != nil {
		return err
	}
	var answer purgeAnswer
	if err := p.callWithin(purgeTimeout, request, &answer); err != nil {
		return err
	}
	if answer.Tiers == nil { // refused before anything was done
		return errors.New(answer.Detail)
	}
	if err := printPurge(stdout, answer.PurgeReport); err != nil {
		return err
	}
	if !answer.Complete {
		return errors.New(answer.Detail)
	}
	return nil
}

func printPurge(to io.Writer, r admin.PurgeReport) error {
	var b strings.Builder
	if r.Soft {
		fmt.Fprintf(&b, "%s: marked as out of date in %.1f ms\n", r.Scope, r.Milliseconds)
	} else {
		fmt.Fprintf(&b, "%s: %d removed in %.1f ms\n", r.Scope, r.Removed, r.Milliseconds)
	}
	if r.Error != "" {
		fmt.Fprintf(&b, "failed: %s\n", r.Error)
	}
	writeTiers(&b, "", r.Tiers)
	for _, n := range r.Nodes {
		switch {
		case n.Error != "":
			fmt.Fprintf(&b, "%s: failed: %s\n", n.Node, n.Error)
		case len(n.Tiers) == 0:
			fmt.Fprintf(&b, "%s: told\n", n.Node)
		}
		writeTiers(&b, n.Node+": ", n.Tiers)
	}
	_, err := io.WriteString(to, b.String())
	return err
}

func writeTiers(b *strings.Builder, node string, tiers []admin.TierReport) {
	for _, t := range tiers {
		fmt.Fprintf(b, "%s%s: %d removed", node, t.Tier, t.Removed)
		if t.Error != "" {
			b.WriteString(", failed: " + t.Error)
		}
		b.WriteByte('\n')
	}
}
