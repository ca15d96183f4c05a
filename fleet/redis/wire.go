package redis

import (
	"encoding/json"
	"errors"
	"fmt"

	"deckle/fleet"
)

// The fields of an entry of the log.
const (
	fieldMessage = "message" // JSON
	fieldAsk     = "ask"     // names the list that answers go to; absent when nobody waits
)

// Bounds on what comes from the log: whoever can write there is a node, perhaps of another build.
const (
	maxMessage = fleet.MaxPayload + 4<<10 // bytes of JSON
	maxAsk     = 64
)

var errMessage = errors.New("not a message")

// encode returns the fields of a message.
func encode(m fleet.Message, ask string) (map[string]any, error) {
	if len(m.Payload) > fleet.MaxPayload {
		return nil, fmt.Errorf("a payload of %d bytes", len(m.Payload))
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if len(text) > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes", len(text))
	}
	fields := map[string]any{fieldMessage: string(text)}
	if ask != "" {
		fields[fieldAsk] = ask
	}
	return fields, nil
}

// decode reads the fields of a message. A kind and a sender are always there.
func decode(fields map[string]any) (m fleet.Message, ask string, err error) {
	text, ok := fields[fieldMessage].(string)
	if !ok || len(text) > maxMessage {
		return m, "", errMessage
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return fleet.Message{}, "", fmt.Errorf("%w: %w", errMessage, err)
	}
	ask, _ = fields[fieldAsk].(string)
	if m.Kind == "" || m.Node == "" || len(m.Payload) > fleet.MaxPayload || len(ask) > maxAsk {
		return fleet.Message{}, "", errMessage
	}
	return m, ask, nil
}
