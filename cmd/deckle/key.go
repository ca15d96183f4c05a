package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

// keyCommand manages the keys of a running Deckle.
type keyCommand struct {
	Create keyCreateCommand `cmd:"" help:"Make a key, and print its secret: it is kept nowhere else."`
	List   keyListCommand   `cmd:"" help:"List keys."`
	Rotate keyRotateCommand `cmd:"" help:"Give a key another secret, and print it."`
	Revoke keyRevokeCommand `cmd:"" help:"Revoke a key."`
}

// key is one as the operator's listener tells of it.
type key struct {
	ID, Name, User, Secret string
	Scopes                 []string
	Created, Expires, Used time.Time
}

// keys asks the operator's listener; into may be nil. Every answer but those of success is an error that says why.
func (f *operatorFlags) keys(method, path string, asked, into any) error {
	body, err := json.Marshal(asked)
	if err != nil {
		return err
	}
	request, err := f.request(context.Background(), method, path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	var answer json.RawMessage
	if err := f.call(request, &answer); err != nil && !errors.Is(err, io.EOF) { // 204 has no body
		return err
	}
	var refused struct{ Error string }
	if json.Unmarshal(answer, &refused) == nil && refused.Error != "" {
		return errors.New(refused.Error)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// keyCreateCommand makes a key.
type keyCreateCommand struct {
	operatorFlags `embed:""`

	Name    string        `arg:"" help:"Name of the key, for people."`
	Scopes  string        `default:"read" help:"What it may do: read, write, upload, admin; several, separated by commas."`
	User    string        `help:"User whom it acts for, and to whose pictures it is confined." placeholder:"USER"`
	Expires time.Duration `help:"For how long it is good, as in 720h; for good unless given." placeholder:"DURATION"`
}

// Run prints the secret alone, so that a script can use it.
func (k *keyCreateCommand) Run(stdout io.Writer) error {
	asked := map[string]any{"name": k.Name, "scopes": list(k.Scopes)}
	if k.User != "" {
		asked["user"] = k.User
	}
	if k.Expires != 0 {
		if k.Expires < time.Second {
			return fmt.Errorf("%w: --expires is %s: want a second or more", errUsage, k.Expires)
		}
		asked["ttl"] = int64(k.Expires / time.Second)
	}
	var made key
	if err := k.keys(http.MethodPost, "/keys", asked, &made); err != nil {
		return err
	}
	_, err := fmt.Fprintln(stdout, made.Secret)
	return err
}

// keyListCommand lists keys.
type keyListCommand struct {
	operatorFlags `embed:""`
}

// Run prints one key a line.
func (k *keyListCommand) Run(stdout io.Writer) error {
	table := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tNAME\tSCOPES\tUSER\tCREATED\tEXPIRES\tUSED") // Flush tells of errors
	day := func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return t.Local().Format("2006-01-02 15:04")
	}
	for after := ""; ; {
		var page struct {
			Keys []key
			Next string
		}
		if err := k.keys(http.MethodGet, "/keys?after="+url.QueryEscape(after), nil, &page); err != nil {
			return err
		}
		for _, one := range page.Keys {
			_, _ = fmt.Fprintf(table, "%s\t%q\t%s\t%s\t%s\t%s\t%s\n",
				one.ID, one.Name, strings.Join(one.Scopes, ","), one.User, day(one.Created), day(one.Expires), day(one.Used))
		}
		if after = page.Next; after == "" {
			return table.Flush()
		}
	}
}

// keyRotateCommand gives a key another secret.
type keyRotateCommand struct {
	operatorFlags `embed:""`

	ID      string        `arg:"" help:"Id of the key, as deckle key list tells it."`
	Overlap time.Duration `default:"1h" help:"For how long the former secret stays good; 0s for not at all."`
}

// Run prints the secret alone.
func (k *keyRotateCommand) Run(stdout io.Writer) error {
	if k.Overlap < 0 {
		return fmt.Errorf("%w: --overlap is %s: want 0s or more", errUsage, k.Overlap)
	}
	var made key
	asked := map[string]any{"overlap": int64(k.Overlap / time.Second)}
	if err := k.keys(http.MethodPost, "/keys/"+url.PathEscape(k.ID)+"/rotate", asked, &made); err != nil {
		return err
	}
	_, err := fmt.Fprintln(stdout, made.Secret)
	return err
}

// keyRevokeCommand revokes a key.
type keyRevokeCommand struct {
	operatorFlags `embed:""`

	ID string `arg:"" help:"Id of the key, as deckle key list tells it."`
}

// Run prints nothing.
func (k *keyRevokeCommand) Run() error {
	return k.keys(http.MethodDelete, "/keys/"+url.PathEscape(k.ID), nil, nil)
}
