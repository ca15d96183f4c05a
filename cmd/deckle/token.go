package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// operatorFlags say where a running Deckle's operator listener is.
type operatorFlags struct {
	Admin  string `default:"http://127.0.0.1:8081" help:"URL of the operator's listener."`
	APIKey string `name:"api-key" help:"Key for it." placeholder:"KEY"`
}

// request returns one to the operator's listener; path begins with a slash, and may have a query.
func (f *operatorFlags) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, f.Admin+path, body)
	if err != nil {
		return nil, fmt.Errorf("%w: --admin: %w", errUsage, err)
	}
	return request, nil
}

// tokenCommand asks for an upload token and prints it.
type tokenCommand struct {
	operatorFlags `embed:""`

	ID      string `arg:"" help:"Id of the picture that will be uploaded."`
	Replace bool   `help:"Allow the upload to replace an existing picture."`
}

// Run prints the token alone, so that a script can use it.
func (t *tokenCommand) Run(stdout io.Writer) error {
	body, err := json.Marshal(map[string]any{"id": t.ID, "replace": t.Replace})
	if err != nil {
		return err
	}
	request, err := t.request(context.Background(), http.MethodPost, "/token", bytes.NewReader(body))
	if err != nil {
		return err
	}
	var answer struct{ Token, Error string }
	if err := t.call(request, &answer); err != nil {
		return err
	}
	if answer.Token == "" {
		return errors.New(answer.Error)
	}
	_, err = fmt.Fprintln(stdout, answer.Token)
	return err
}

// call sends a request to the operator's listener and reads its JSON answer, whatever its status.
func (f *operatorFlags) call(request *http.Request, answer any) error {
	return f.callWithin(10*time.Second, request, answer)
}

// callWithin is call for what may take longer.
func (f *operatorFlags) callWithin(timeout time.Duration, request *http.Request, answer any) error {
	if f.APIKey != "" {
		request.Header.Set("Authorization", "Bearer "+f.APIKey)
	}
	client := &http.Client{Timeout: timeout}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	const most = 1 << 20
	if err := json.NewDecoder(io.LimitReader(response.Body, most)).Decode(answer); err != nil {
		return fmt.Errorf("read the answer (%s): %w", response.Status, err)
	}
	return nil
}
