package main

import (
	"fmt"
	"net/http"
)

// healthcheckCommand asks a running Deckle whether it is ready, for images and supervisors without an HTTP client.
type healthcheckCommand struct {
	operatorFlags `embed:""`
}

// Run fails when the node is not ready or cannot be asked.
func (h *healthcheckCommand) Run() error {
	request, err := http.NewRequest(http.MethodGet, h.Admin+"/probe/ready", nil)
	if err != nil {
		return fmt.Errorf("%w: --admin: %w", errUsage, err)
	}
	var answer struct {
		Status string
		Checks map[string]string
	}
	if err := h.call(request, &answer); err != nil {
		return err
	}
	if answer.Status != "ok" {
		return fmt.Errorf("%s: %v", answer.Status, answer.Checks)
	}
	return nil
}
