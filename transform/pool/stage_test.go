package pool

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/transform"
)

// TestStages: a child is asked what took how long when its caller asks, and not else.
func TestStages(t *testing.T) {
	p := scriptedPool(t, nil)
	for _, test := range []struct {
		name string
		ask  bool
		want []transform.Stage
	}{
		{"unasked", false, nil},
		{"asked", true, []transform.Stage{{Name: "load", Took: time.Millisecond}, {Name: "encode", Took: time.Second}}},
		{"unasked again", false, nil},
	} {
		ctx := t.Context()
		if test.ask {
			ctx = transform.WithStages(ctx)
		}
		got, err := p.Render(ctx, fresh(), transform.Spec{Format: transform.PNG})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got.Stages); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// TestStagesOfAStranger: what no renderer says is refused.
func TestStagesOfAStranger(t *testing.T) {
	for name, stages := range map[string][]transform.Stage{
		"no name": {{}}, "a long name": {{Name: strings.Repeat("a", maxStageName+1)}}, "no word": {{Name: "a b"}}, "a line": {{Name: "a\n"}},
		"capitals": {{Name: "Load"}}, "before it began": {{Name: "load", Took: -1}}, "for ever": {{Name: "load", Took: math.MaxInt64}},
		"too many": make([]transform.Stage, maxStages+1), "a bad one among good ones": {{Name: "load"}, {Name: "<b>"}},
	} {
		if err := acceptStages(stages); !errors.Is(err, errFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := acceptStages([]transform.Stage{{Name: "load"}, {Name: "encode", Took: maxStage}}); err != nil {
		t.Error(err)
	}
}
