package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"deckle/admin"
	"deckle/auth"
	"deckle/auth/introspect"
	"deckle/auth/oidc"
	"deckle/catalog"
	"deckle/ingest"
)

// openAccess opens what tells who calls and what users may have. Without a key, an issuer or a service of tokens in the
// configuration every caller is an operator: the configuration is for loopback alone then.
func (n *node) openAccess(ctx context.Context, records *catalog.Catalog, uploads *ingest.Service) (admin.Access, error) {
	c := n.config
	if err := records.SetLimits(ctx, c.auth.limits); err != nil {
		return admin.Access{}, fmt.Errorf("set the limits of users: %w", err)
	}
	keyring := auth.NewKeyring(auth.KeyringConfig{Bootstrap: c.apiKeys, Keys: keyRecords{records}, Log: n.log})
	n.ends.add(keyring.Close)
	access := admin.Access{Keys: records, KeysChanged: keyring.Forget, Accounts: records, AccountDeleter: n.tendAccounts(uploads)}
	chain := auth.Chain{Keys: keyring}
	if c.auth.oidc != nil {
		tokens, err := oidc.New(*c.auth.oidc)
		if err != nil {
			return admin.Access{}, fmt.Errorf("take tokens: %w", err)
		}
		n.ends.add(tokens.Close)
		chain.Signed = tokens
	}
	if c.auth.introspection != nil {
		service, err := introspect.New(*c.auth.introspection)
		if err != nil {
			return admin.Access{}, fmt.Errorf("ask about tokens: %w", err)
		}
		n.ends.add(service.Close)
		chain.Opaque = service
	}
	if len(c.apiKeys) > 0 || c.auth.tokens() {
		access.Auth = chain
	}
	return access, nil
}

// tendAccounts deletes accounts until the node ends.
func (n *node) tendAccounts(uploads *ingest.Service) *ingest.Accounts {
	accounts := uploads.Accounts()
	ctx, stop := context.WithCancel(context.Background())
	var tending sync.WaitGroup
	tending.Go(func() { accounts.Tend(ctx) })
	n.ends.add(func() error { stop(); tending.Wait(); return nil })
	return accounts
}

// keyRecords are the catalog's keys as auth knows them.
type keyRecords struct{ records *catalog.Catalog }

var _ auth.Keys = keyRecords{}

// KeyOf translates.
func (k keyRecords) KeyOf(ctx context.Context, hash string, now time.Time) (auth.Key, error) {
	key, err := k.records.KeyOf(ctx, hash, now)
	if errors.Is(err, catalog.ErrNotFound) {
		return auth.Key{}, auth.ErrUnknown
	}
	if err != nil {
		return auth.Key{}, err
	}
	scopes, err := auth.ParseScopes(key.Scopes)
	return auth.Key{ID: key.ID, User: key.Owner, Scopes: scopes, Until: key.GoodUntil(hash)}, err
}

// KeyUsed passes on.
func (k keyRecords) KeyUsed(ctx context.Context, id string, now time.Time) error {
	return k.records.KeyUsed(ctx, id, now, auth.UsedEvery)
}
