package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"deckle/origin"
)

// SignedPut is a PUT that the store itself takes, once, into the incoming area. The client sends the headers as they are, and
// Confirm is called when it has.
type SignedPut struct {
	URL     string
	Header  http.Header
	Expires time.Time
}

// putObject is what the bytes that a token's client PUTs are called in the incoming area, by the token's hash. It tells nothing
// about the token.
func putObject(hash string) string { return hashToken("put " + hash)[:32] }

// SignPut returns the PUT by which the source of a grant can be sent straight to the store. ErrUnsigned when the store of the
// id takes none: a directory does not, and then the body goes to Receive. ErrToken; ErrUsed.
func (s *Service) SignPut(ctx context.Context, token string) (SignedPut, error) {
	g, _, err := s.findGrant(ctx, "", token)
	if err != nil {
		return SignedPut{}, err
	}
	if g.Used() {
		return SignedPut{}, ErrUsed
	}
	room, err := s.room(origin.Incoming, g.ID)
	if err != nil {
		return SignedPut{}, err
	}
	signer, ok := room.(origin.Presigner)
	if !ok {
		return SignedPut{}, ErrUnsigned
	}
	lifetime := g.Expires.Sub(s.config.Now())
	if lifetime < time.Second {
		return SignedPut{}, ErrToken
	}
	put := SignedPut{Expires: g.Expires}
	put.URL, put.Header, err = signer.PresignPut(ctx, putObject(g.TokenHash), lifetime)
	return put, err
}

// Confirm goes on with what the client has PUT: it is read back, checked, and taken in as by Receive, whose errors it answers.
// ErrNoImage when nothing has come. A call that is repeated is answered with the same receipt. client is Upload.Client.
func (s *Service) Confirm(ctx context.Context, token, client string) (Receipt, error) {
	if err := s.clients.admit(client, s.config.Now()); err != nil {
		return Receipt{}, err
	}
	g, policy, err := s.findGrant(ctx, "", token)
	if err != nil {
		return Receipt{}, err
	}
	if g.Used() { // the bytes are those of the use: there is one PUT a token
		receipt, err := receiptOf(g.Record)
		receipt.Pending = policy.Later
		return receipt, err
	}
	room, err := s.room(origin.Incoming, g.ID)
	if err != nil {
		return Receipt{}, err
	}
	object, err := room.Open(ctx, putObject(g.TokenHash), origin.Range{})
	if errors.Is(err, origin.ErrNotFound) {
		return Receipt{}, fmt.Errorf("%w: nothing was PUT yet", ErrNoImage)
	}
	if err != nil {
		return Receipt{}, err
	}
	receipt, err := s.Receive(ctx, Upload{ID: g.ID, Token: token, Body: object.Body})
	if closed := object.Body.Close(); err == nil && closed == nil {
		s.dropObject(ctx, origin.Incoming, g.ID, putObject(g.TokenHash))
	}
	return receipt, err
}
