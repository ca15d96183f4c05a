package redis

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

func withTimeout(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), 300*time.Millisecond)
}

func add(t *testing.T, client *goredis.Client, fields map[string]any) {
	t.Helper()
	if err := client.XAdd(t.Context(), &goredis.XAddArgs{Stream: logKey, Values: fields}).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestReadSaid(t *testing.T) {
	good := map[string][]any{
		"held":        {int64(taken), int64(0)},
		"another's":   {int64(others), int64(1500)},
		"about to go": {int64(others), int64(-2)},
		"done":        {int64(made), "result"},
	}
	for name, answer := range good {
		if said, err := readSaid(answer); err != nil || said.left < 0 {
			t.Errorf("%s: %+v, %v", name, said, err)
		}
	}
	bad := map[string][]any{
		"nothing": nil, "one part": {int64(0)}, "text for a state": {"0", int64(0)}, "unknown": {int64(3), int64(0)},
		"below": {int64(-1), int64(0)}, "done without a result": {int64(made), int64(0)}, "a result of what is held": {int64(taken), "x"},
		"nil": {nil, nil},
	}
	for name, answer := range bad {
		if said, err := readSaid(answer); err == nil {
			t.Errorf("%s: %+v", name, said)
		}
	}
}

// FuzzDecode: whatever is in the log, what is read from it is a message that can be sent and is read as the same again.
func FuzzDecode(f *testing.F) {
	f.Add(`{"kind":"source","source":"cat","version":"v","node":"a","sent":"2026-01-02T03:04:05Z"}`, "")
	f.Add(`{"kind":"purge","payload":{"all":true},"node":"a"}`, "ask")
	f.Add(`{"kind":"purge","payload":1e999,"node":"\ud800"}`, "ask")
	f.Add(`null`, "x")
	f.Fuzz(func(t *testing.T, text, ask string) {
		first, firstAsk, err := decode(map[string]any{fieldMessage: text, fieldAsk: ask})
		if err != nil {
			return
		}
		fields, err := encode(first, firstAsk)
		if err != nil {
			return // escapes may take it over the bound when it is spelled out
		}
		second, secondAsk, err := decode(fields)
		if err != nil {
			t.Fatalf("%q gave %+v, which cannot be read again: %v", text, first, err)
		}
		a, b := compact(t, first.Payload), compact(t, second.Payload)
		first.Payload, second.Payload = nil, nil
		if !first.Sent.Equal(second.Sent) || first.Kind != second.Kind || first.Source != second.Source || first.Node != second.Node ||
			first.Version != second.Version || first.Deleted != second.Deleted || a != b || firstAsk != secondAsk {
			t.Fatalf("%q gave %+v, then %+v", text, first, second)
		}
	})
}

func compact(t *testing.T, payload json.RawMessage) string {
	t.Helper()
	if payload == nil {
		return ""
	}
	var b bytes.Buffer
	if err := json.Compact(&b, payload); err != nil {
		t.Fatal(err)
	}
	var escaped bytes.Buffer
	json.HTMLEscape(&escaped, b.Bytes()) // as Marshal does
	return escaped.String()
}
