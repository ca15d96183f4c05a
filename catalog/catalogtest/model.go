package catalogtest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"deckle/catalog"
)

// model is the state machine of one id's grants in memory, written from the contract of catalog.Grant alone.
type model struct {
	now     time.Time
	tokens  []*modelGrant
	version string // of the record; empty when there is none
}

type modelGrant struct {
	replace      bool
	expires      time.Time
	claimedUntil time.Time
	attempt      int64
	used         bool
	gone         bool
}

type modelClaim struct {
	grant   *modelGrant
	attempt int64
}

func (m *model) live(g *modelGrant) bool { return !g.gone && m.now.Before(g.expires.Add(catalog.Skew)) }

func (m *model) claimed(g *modelGrant) bool {
	return !g.gone && !g.used && m.now.Before(g.claimedUntil)
}

func (m *model) issue(replace bool) error {
	for _, g := range m.tokens {
		if !g.used && (m.live(g) || m.claimed(g)) {
			if m.version != "" && !replace {
				return catalog.ErrExists
			}
			return catalog.ErrHeld
		}
	}
	if m.version != "" && !replace {
		return catalog.ErrExists
	}
	for _, g := range m.tokens {
		g.gone = g.gone || !g.used
	}
	m.tokens = append(m.tokens, &modelGrant{replace: replace, expires: m.now.Add(TTL)})
	return nil
}

func (m *model) claim(g *modelGrant) (modelClaim, error) {
	switch {
	case !m.live(g):
		return modelClaim{}, catalog.ErrToken
	case g.used || m.claimed(g):
		return modelClaim{}, catalog.ErrUsed
	}
	g.attempt++
	g.claimedUntil = m.now.Add(Lease)
	return modelClaim{g, g.attempt}, nil
}

func (c modelClaim) held() bool {
	return c.grant != nil && !c.grant.gone && !c.grant.used && c.grant.attempt == c.attempt
}

func (m *model) finish(c modelClaim, version string) error {
	switch {
	case m.version != "" && (c.grant == nil || !c.grant.replace):
		return catalog.ErrExists
	case !c.held():
		return catalog.ErrUsed
	}
	c.grant.used, m.version = true, version
	return nil
}

func (m *model) sweep() {
	for _, g := range m.tokens {
		if !m.live(g) && !m.claimed(g) {
			g.gone = true
		}
	}
}

// Fuzz plays sequences of steps, one a byte, against the catalog and against a model of it, which must agree on every answer.
func Fuzz(f *testing.F, c *catalog.Catalog) {
	f.Add([]byte{0, 2, 6, 3})
	f.Add([]byte{0, 2, 9, 3, 6, 7, 8, 0, 1, 2, 6})
	f.Add([]byte{1, 2, 9, 9, 9, 3, 6, 7, 10, 10, 10, 10, 11, 0})
	var runs atomic.Int64
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 64 {
			script = script[:64]
		}
		run := fmt.Sprintf("run %d ", runs.Add(1))
		playModel(t, &play{c: c, id: run, token: run, now: epoch, claims: map[string]catalog.Grant{}}, script)
	})
}

func playModel(t *testing.T, p *play, script []byte) {
	m := &model{now: p.now}
	claims := map[string]modelClaim{}
	for i, op := range script {
		who := []string{"a", "b"}[int(op>>4)&1]
		s, want := modelStep(m, claims, who, op, i)
		if s.do == nil {
			continue
		}
		if err := s.do(t.Context(), p); !errors.Is(err, want) || (want == nil && err != nil) {
			t.Fatalf("step %d of %v, %s: %v, the model says %v", i, script, s.name, err, want)
		}
		m.now = p.now
	}
	if err := holds(m.version).do(t.Context(), p); err != nil {
		t.Fatalf("after %v: %v, the model says %q", script, err, m.version)
	}
}

// modelStep takes one step of the model and returns the same for the catalog, with what it must answer.
func modelStep(m *model, claims map[string]modelClaim, who string, op byte, i int) (step, error) {
	token := func(age int) int { return len(m.tokens) - 1 - age }
	switch op % 12 {
	case 0, 1:
		s := issue(fmt.Sprint(len(m.tokens)), op%12 == 1)
		return s, m.issue(op%12 == 1)
	case 2, 3, 4, 5:
		n := token(int(op%12-2) / 2)
		if n < 0 {
			return claim(who, "never issued"), catalog.ErrToken
		}
		c, err := m.claim(m.tokens[n])
		if err == nil {
			claims[who] = c
		}
		return claim(who, fmt.Sprint(n)), err
	case 6:
		version := fmt.Sprint("v", i)
		return finish(who, version), m.finish(claims[who], version)
	case 7:
		if c := claims[who]; !c.held() {
			return renew(who), catalog.ErrUsed
		}
		claims[who].grant.claimedUntil = m.now.Add(Lease)
		return renew(who), nil
	case 8:
		if c := claims[who]; c.held() {
			c.grant.claimedUntil = time.Time{}
		}
		return release(who), nil
	case 9:
		return wait(Lease / 2), nil
	case 10:
		return wait(TTL / 2), nil
	}
	m.sweep()
	return sweep(), nil
}
