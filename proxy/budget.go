package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"deckle/transform"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/valyala/fasthttp"
	"golang.org/x/time/rate"
)

// Budget is how many new variants may be rendered: so many at once, and again so many spread over each Per. The zero value
// is no bound.
type Budget struct {
	Renders int
	Per     time.Duration
}

// maxRenders bounds a budget's number.
const maxRenders = 1_000_000_000

// ParseBudget reads N/s, N/m or N/h; off and 0 are no bound.
func ParseBudget(text string) (Budget, error) {
	if text == "off" || text == "0" {
		return Budget{}, nil
	}
	number, unit, _ := strings.Cut(text, "/")
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > maxRenders || per == 0 {
		return Budget{}, errors.New("renders in a time, as in 600/m (s, m or h), or off")
	}
	return Budget{n, per}, nil
}

// Budgets bound the renders that strangers can cause. Pictures that are there already cost nothing.
type Budgets struct {
	Client Budget // of one IPv4 address or one /64 of IPv6
	Source Budget // of one source, whoever asks: it bounds what one source can fill the stores with
}

// What a refused render wraps.
var (
	errClientBudget = errors.New("proxy: the client has asked for too many new variants")
	errSourceBudget = errors.New("proxy: too many new variants of this source were asked for")
)

// maxBuckets bounds how many clients, and how many sources, are remembered, at about 300 bytes each; those that rendered
// longest ago are forgotten first, which gives them a new budget.
const maxBuckets = 1 << 16

// buckets are token buckets by name.
type buckets[K comparable] struct {
	budget  Budget
	list    *lru.Cache[K, *rate.Limiter]
	refused atomic.Uint64
}

func newBuckets[K comparable](b Budget) *buckets[K] {
	if b.Renders <= 0 || b.Per <= 0 {
		return nil
	}
	list, err := lru.New[K, *rate.Limiter](maxBuckets)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &buckets[K]{budget: b, list: list}
}

// take takes one render from the bucket of key. The reservation gives it back, or says how long to wait for one; it is nil
// when there is no bound.
func (b *buckets[K]) take(key K, now time.Time) *rate.Reservation {
	if b == nil {
		return nil
	}
	bucket, ok := b.list.Get(key)
	if !ok {
		fresh := rate.NewLimiter(rate.Limit(float64(b.budget.Renders)/b.budget.Per.Seconds()), b.budget.Renders)
		if bucket, ok, _ = b.list.PeekOrAdd(key, fresh); !ok {
			bucket = fresh
		}
	}
	return bucket.ReserveN(now, 1)
}

// refusals counts what was refused.
func (b *buckets[K]) refusals() uint64 {
	if b == nil {
		return 0
	}
	return b.refused.Load()
}

// budgets charges renders.
type budgets struct {
	clients *buckets[netip.Prefix]
	sources *buckets[string]
}

func newBudgets(b Budgets) *budgets {
	return &budgets{clients: newBuckets[netip.Prefix](b.Client), sources: newBuckets[string](b.Source)}
}

// payer is whom the renders of a request are charged to, carried by its context.
type payer struct{}

// charging returns a context that says who asks, for the render that may come of it.
func (p *Proxy) charging(wait context.Context, ctx *fasthttp.RequestCtx) context.Context {
	if p.budgets.clients == nil {
		return wait
	}
	if client, ok := p.client(ctx); ok {
		return context.WithValue(wait, payer{}, client)
	}
	return wait
}

// charge takes one render from the budgets of the client that ctx carries and of the source, or from neither. Its error is a
// *transform.Later around errClientBudget or errSourceBudget.
func (b *budgets) charge(ctx context.Context, source string, now time.Time) error {
	var client *rate.Reservation
	if of, ok := ctx.Value(payer{}).(netip.Prefix); ok {
		client = b.clients.take(of, now)
	}
	if after := delay(client, now); after > 0 {
		b.clients.refused.Add(1)
		client.CancelAt(now)
		return &transform.Later{Err: errClientBudget, After: after}
	}
	bySource := b.sources.take(source, now)
	if after := delay(bySource, now); after > 0 {
		b.sources.refused.Add(1)
		bySource.CancelAt(now)
		if client != nil {
			client.CancelAt(now)
		}
		return fmt.Errorf("render %s: %w", source, &transform.Later{Err: errSourceBudget, After: after})
	}
	return nil
}

func delay(r *rate.Reservation, now time.Time) time.Duration {
	if r == nil {
		return 0
	}
	return r.DelayFrom(now)
}

// BudgetStats counts the renders that were refused since the start.
type BudgetStats struct{ Client, Source uint64 }

// BudgetStats returns how many renders the budgets have refused.
func (p *Proxy) BudgetStats() BudgetStats {
	return BudgetStats{Client: p.budgets.clients.refusals(), Source: p.budgets.sources.refusals()}
}
