package catalogtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/catalog"
)

// play is one grant's life: a catalog, a clock and the claims that two uploads, a and b, hold.
type play struct {
	c      *catalog.Catalog
	id     string
	token  string
	now    time.Time
	claims map[string]catalog.Grant
}

// step is one line of a play and what it must answer.
type step struct {
	name string
	do   func(context.Context, *play) error
	want error
}

func (s step) fails(want error) step {
	s.want = want
	return s
}

func wait(d time.Duration) step {
	return step{name: "wait " + d.String(), do: func(_ context.Context, p *play) error {
		p.now = p.now.Add(d)
		return nil
	}}
}

func issue(token string, replace bool) step {
	return step{name: "issue " + token, do: func(ctx context.Context, p *play) error {
		return p.c.Issue(ctx, grant(p.token+token, p.id, replace, p.now), p.now)
	}}
}

// claim looks the grant up and takes it, as an upload does.
func claim(who, token string) step {
	return step{name: who + " claims " + token, do: func(ctx context.Context, p *play) error {
		g, err := p.c.Grant(ctx, p.token+token, p.id, p.now)
		if err != nil {
			return err
		}
		if g, err = p.c.Claim(ctx, g, p.now, p.now.Add(Lease)); err != nil {
			return err
		}
		p.claims[who] = g
		return nil
	}}
}

func renew(who string) step {
	return step{name: who + " renews", do: func(ctx context.Context, p *play) error {
		return p.c.Renew(ctx, p.claims[who], p.now.Add(Lease))
	}}
}

func release(who string) step {
	return step{name: who + " releases", do: func(ctx context.Context, p *play) error {
		return p.c.Release(ctx, p.claims[who])
	}}
}

func finish(who, version string) step {
	return step{name: who + " finishes " + version, do: func(ctx context.Context, p *play) error {
		_, err := p.c.Finish(ctx, p.claims[who], record(p.id, version, p.now), "upload of "+version)
		return err
	}}
}

func sweep() step {
	return step{name: "sweep", do: func(ctx context.Context, p *play) error {
		_, err := p.c.Sweep(ctx, p.now, 1<<30)
		return err
	}}
}

// holds checks which version the record has; "" is none.
func holds(version string) step {
	return step{name: "record is " + version, do: func(ctx context.Context, p *play) error {
		r, err := p.c.Record(ctx, p.id)
		if version == "" && errors.Is(err, catalog.ErrNotFound) {
			return nil
		}
		if err == nil && r.Version != version {
			return errors.New("the record has version " + r.Version)
		}
		return err
	}}
}

// receipt checks what a used grant tells of the upload that used it; the times are since the play began.
func receipt(token, version string, created, updated time.Duration) step {
	return step{name: "receipt of " + token, do: func(ctx context.Context, p *play) error {
		g, err := p.c.Grant(ctx, p.token+token, p.id, p.now)
		if err != nil {
			return err
		}
		want := record(p.id, version, epoch.Add(updated))
		want.Created, want.Time = epoch.Add(created), epoch.Add(created)
		if diff := cmp.Diff(want, g.Record); !g.Used() || g.Upload != "upload of "+version || diff != "" {
			return errors.New("used " + g.Upload + ", receipt (-want +got): " + diff)
		}
		return nil
	}}
}

const dead = TTL + catalog.Skew

var states = []struct {
	name  string
	steps []step
}{
	{"no grant", []step{claim("a", "t").fails(catalog.ErrToken)}},
	{"one use", []step{
		issue("t", false), claim("a", "t"), finish("a", "v1"), holds("v1"),
		claim("a", "t").fails(catalog.ErrUsed), finish("a", "v2").fails(catalog.ErrExists), holds("v1"),
	}},
	{"one use of a replacing token", []step{
		issue("t", true), claim("a", "t"), finish("a", "v1"), finish("a", "v2").fails(catalog.ErrUsed), holds("v1"),
	}},
	{"a held id", []step{
		issue("t", false), issue("u", false).fails(catalog.ErrHeld), issue("u", true).fails(catalog.ErrHeld),
		claim("a", "t"), issue("u", true).fails(catalog.ErrHeld), release("a"), issue("u", true).fails(catalog.ErrHeld),
		claim("a", "t"), finish("a", "v1"), issue("u", true),
	}},
	{"a held id is free when the token has expired", []step{
		issue("t", false), wait(dead - time.Millisecond), issue("u", false).fails(catalog.ErrHeld),
		wait(time.Millisecond), issue("u", false), claim("a", "t").fails(catalog.ErrToken), claim("a", "u"),
	}},
	{"a taken id", []step{
		issue("t", false), claim("a", "t"), finish("a", "v1"), issue("u", false).fails(catalog.ErrExists), issue("u", true),
	}},
	{"an id is held while its expired token is being used", []step{
		issue("t", false), wait(dead - time.Millisecond), claim("a", "t"), wait(Lease - time.Millisecond),
		issue("u", false).fails(catalog.ErrHeld), finish("a", "v1"), holds("v1"),
	}},
	{"an expired token is lost when its claim runs out and the id is asked for", []step{
		issue("t", true), wait(dead - time.Millisecond), claim("a", "t"), wait(Lease), issue("u", true),
		finish("a", "v1").fails(catalog.ErrUsed), holds(""), claim("b", "u"), finish("b", "v2"), holds("v2"),
	}},
	{"replace", []step{
		issue("t", false), claim("a", "t"), finish("a", "v1"), issue("u", true), claim("a", "u"), wait(time.Second),
		finish("a", "v2"), holds("v2"), receipt("t", "v1", 0, 0), receipt("u", "v2", 0, time.Second),
	}},
	{"expiry", []step{
		issue("t", false), wait(dead - time.Millisecond), claim("a", "t"), release("a"), wait(time.Millisecond),
		claim("a", "t").fails(catalog.ErrToken),
	}},
	{"a clock that is behind refuses nothing", []step{issue("t", false), wait(-time.Hour), claim("a", "t")}},
	{"a claim outlives its token's expiry", []step{
		issue("t", false), wait(TTL), claim("a", "t"), wait(20 * time.Second), renew("a"), wait(40 * time.Second), renew("a"),
		wait(20 * time.Second), finish("a", "v1"), holds("v1"),
	}},
	{"released", []step{
		issue("t", false), claim("a", "t"), claim("b", "t").fails(catalog.ErrUsed), release("a"), claim("b", "t"),
		release("a"), claim("a", "t").fails(catalog.ErrUsed), finish("a", "v1").fails(catalog.ErrUsed), holds(""), finish("b", "v2"),
	}},
	{"a claim that ran out", []step{
		issue("t", false), claim("a", "t"), wait(Lease - time.Millisecond), claim("b", "t").fails(catalog.ErrUsed),
		wait(time.Millisecond), claim("b", "t"), renew("a").fails(catalog.ErrUsed), finish("a", "v1").fails(catalog.ErrUsed),
		holds(""), finish("b", "v2"), holds("v2"), receipt("t", "v2", Lease, Lease),
	}},
	{"a claim that ran out and that nobody else took", []step{
		issue("t", false), claim("a", "t"), wait(2 * Lease), finish("a", "v1"), holds("v1"),
	}},
	{"renewed", []step{
		issue("t", false), claim("a", "t"), wait(Lease - time.Second), renew("a"), wait(Lease - time.Second),
		claim("b", "t").fails(catalog.ErrUsed), finish("a", "v1"), renew("a").fails(catalog.ErrUsed), release("a"), holds("v1"),
	}},
	{"a receipt lasts as long as the token", []step{
		issue("t", false), claim("a", "t"), finish("a", "v1"), wait(dead - time.Millisecond), receipt("t", "v1", 0, 0),
		wait(time.Millisecond), receipt("t", "v1", 0, 0).fails(catalog.ErrToken),
	}},
}

func testStates(t *testing.T, open func(t *testing.T) *catalog.Catalog) {
	c := open(t)
	for _, row := range states {
		t.Run(row.name, func(t *testing.T) {
			p := &play{c: c, id: "id of " + row.name, token: row.name + " ", now: epoch, claims: map[string]catalog.Grant{}}
			for i, s := range row.steps {
				if err := s.do(t.Context(), p); !errors.Is(err, s.want) {
					t.Fatalf("step %d, %s: %v, want %v", i+1, s.name, err, s.want)
				}
			}
		})
	}
	t.Run("a token for another id", func(t *testing.T) {
		must(t, c.Issue(t.Context(), grant("other", "mine", false, epoch), epoch))
		if _, err := c.Grant(t.Context(), "other", "yours", epoch); !errors.Is(err, catalog.ErrToken) {
			t.Fatalf("%v, want ErrToken", err)
		}
	})
}
