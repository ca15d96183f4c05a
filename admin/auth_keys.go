package admin

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"deckle/auth"
	"deckle/catalog"

	"github.com/danielgtaylor/huma/v2"
)

// KeyRecords is where keys are kept.
type KeyRecords interface {
	AddKey(ctx context.Context, k catalog.Key) error
	Keys(ctx context.Context, after string, limit int) ([]catalog.Key, error)
	RotateKey(ctx context.Context, id, hash string, formerUntil, now time.Time) (catalog.Key, error)
	RemoveKey(ctx context.Context, id string) error
}

type keyRequest struct {
	Name   string   `json:"name" minLength:"1" maxLength:"256" example:"backend" doc:"For people."`
	Scopes []string `json:"scopes" minItems:"1" maxItems:"4" enum:"read,write,upload,admin" example:"[\"read\",\"upload\"]" doc:"What it may do; admin is everything."`
	User   string   `json:"user,omitempty" maxLength:"255" doc:"Whom it acts for: it is confined to that user's pictures."`
	TTL    int64    `json:"ttl,omitempty" minimum:"1" maximum:"315360000" doc:"For how long it is good, seconds; for good unless given."`
}

// keyAnswer is a key as operators read it.
type keyAnswer struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Scopes      []string  `json:"scopes"`
	User        string    `json:"user,omitempty"`
	Created     time.Time `json:"created"`
	Expires     time.Time `json:"expires,omitzero"`
	Used        time.Time `json:"used,omitzero" doc:"Last, to about a minute."`
	Rotated     time.Time `json:"rotated,omitzero" doc:"Last."`
	FormerUntil time.Time `json:"former_until,omitzero" doc:"Until then the secret before this one is good too."`
	Secret      string    `json:"secret,omitempty" doc:"What to send. It is shown this once, and kept nowhere."`
}

func keyOf(k catalog.Key, secret string) keyAnswer {
	answer := keyAnswer{
		ID: k.ID, Name: k.Name, Scopes: k.Scopes, User: k.Owner, Created: k.Created, Expires: k.Expires, Used: k.Used, Rotated: k.Rotated,
		Secret: secret,
	}
	if k.FormerUntil.After(time.Now()) {
		answer.FormerUntil = k.FormerUntil
	}
	return answer
}

type keysAnswer struct {
	Keys []keyAnswer `json:"keys" doc:"In the order of their ids."`
	Next string      `json:"next,omitempty" doc:"What after is for the next page; absent at the end."`
}

type rotateKeyRequest struct {
	Overlap *int64 `json:"overlap,omitempty" minimum:"0" maximum:"2592000" doc:"For how long the former secret stays good, seconds; an hour unless given, 0 for not at all."`
}

// defaultOverlap is how long a former secret stays good where nothing is said.
const defaultOverlap = time.Hour

const missingKey = "There is no key of that id."

// routeKeys adds what is done with keys.
func (a *Admin) routeKeys(d *api) {
	if a.Keys == nil {
		return
	}
	create := operation(http.MethodPost, "/keys", "createKey", "access", "Make a key", "Its secret is in this answer and nowhere else.", away)
	create.DefaultStatus = http.StatusCreated
	huma.Register(d, create, a.createKey)
	huma.Register(d, operation(http.MethodGet, "/keys", "keys", "access", "List keys", "Without their secrets.", away), a.listKeys)
	huma.Register(d, operation(http.MethodPost, "/keys/{key}/rotate", "rotateKey", "access", "Give a key another secret", "The former one stays good for a while.", missed, away), a.rotateKey)
	revoke := operation(http.MethodDelete, "/keys/{key}", "revokeKey", "access", "Revoke a key", "At once here, within "+auth.KeyLife.String()+" on other nodes.", missed, away)
	revoke.DefaultStatus = http.StatusNoContent
	huma.Register(d, revoke, a.revokeKey)
}

// createKey answers POST /keys.
func (a *Admin) createKey(ctx context.Context, asked *struct{ Body keyRequest }) (*said[keyAnswer], error) {
	scopes, err := auth.ParseScopes(asked.Body.Scopes)
	if err != nil {
		return nil, fieldProblem("scopes", err.Error())
	}
	user := asked.Body.User
	switch {
	case user == "":
	case auth.CheckUser(user) != nil:
		return nil, fieldProblem("user", auth.CheckUser(user).Error())
	case scopes&auth.Admin != 0:
		return nil, fieldProblem("user", "a key with the scope admin is confined to nobody")
	}
	secret, now := auth.NewKey(), time.Now().Truncate(time.Millisecond).UTC()
	k := catalog.Key{ID: strings.ToLower(rand.Text()[:13]), Name: asked.Body.Name, Scopes: scopes.Names(), Owner: user, Created: now, Hash: auth.HashKey(secret)}
	if asked.Body.TTL > 0 {
		k.Expires = now.Add(time.Duration(asked.Body.TTL) * time.Second)
	}
	if err := a.Keys.AddKey(ctx, k); err != nil {
		return nil, a.problemOf("create key", "", err)
	}
	a.Log.Info("a key was made", slog.String("key", k.ID), slog.String("scopes", scopes.String()), slog.String("by", auth.From(ctx).Key))
	return &said[keyAnswer]{http.StatusCreated, keyOf(k, secret)}, nil
}

// listKeys answers GET /keys.
func (a *Admin) listKeys(ctx context.Context, asked *struct {
	After string `query:"after" doc:"Begin after this id."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}) (*said[keysAnswer], error) {
	list, err := a.Keys.Keys(ctx, asked.After, asked.Limit)
	if err != nil {
		return nil, a.problemOf("list keys", "", err)
	}
	body := keysAnswer{Keys: make([]keyAnswer, len(list))}
	for i, k := range list {
		body.Keys[i] = keyOf(k, "")
	}
	if len(list) == asked.Limit {
		body.Next = list[len(list)-1].ID
	}
	return &said[keysAnswer]{http.StatusOK, body}, nil
}

// rotateKey answers POST /keys/{key}/rotate.
func (a *Admin) rotateKey(ctx context.Context, asked *struct {
	Key  string            `path:"key" doc:"The key's id."`
	Body *rotateKeyRequest `required:"false"`
}) (*said[keyAnswer], error) {
	secret, now, overlap := auth.NewKey(), time.Now(), defaultOverlap
	if given := orEmpty(asked.Body).Overlap; given != nil {
		overlap = time.Duration(*given) * time.Second
	}
	k, err := a.Keys.RotateKey(ctx, asked.Key, auth.HashKey(secret), now.Add(overlap), now)
	if err != nil {
		return nil, a.recordFault("rotate key", missingKey, err)
	}
	a.keysChanged()
	a.Log.Info("a key was rotated", slog.String("key", k.ID), slog.String("by", auth.From(ctx).Key))
	return &said[keyAnswer]{http.StatusOK, keyOf(k, secret)}, nil
}

// revokeKey answers DELETE /keys/{key}.
func (a *Admin) revokeKey(ctx context.Context, asked *struct {
	Key string `path:"key" doc:"The key's id."`
}) (*struct{}, error) {
	if err := a.Keys.RemoveKey(ctx, asked.Key); err != nil {
		return nil, a.recordFault("revoke key", missingKey, err)
	}
	a.keysChanged()
	a.Log.Info("a key was revoked", slog.String("key", asked.Key), slog.String("by", auth.From(ctx).Key))
	return nil, nil
}

// keysChanged has this node ask the records again.
func (a *Admin) keysChanged() {
	if a.KeysChanged != nil {
		a.KeysChanged()
	}
}
