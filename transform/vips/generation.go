package vips

import (
	"fmt"
	"hash/fnv"
	"strconv"
)

// recipe counts changes of this code that give other bytes for the same Spec on purpose. Raising it makes every node render
// anew what was stored before.
const recipe = 4

// Generation names everything but Spec and source that decides the bytes of a result: the recipe and the settings, but not
// the version of libvips, whose upgrades need not empty the caches. It is made of 0-9 and a-z, and short.
func (e *Engine) Generation() string {
	h := fnv.New32a()
	// The limits also decide where an animation becomes a still picture.
	l := e.limits
	_, _ = fmt.Fprintf(h, "%d %+v %d %d %d %s", recipe, e.effort, l.OutputSide, l.Frames, l.AnimationPixels, e.marks) // never fails
	if e.wide {
		_, _ = fmt.Fprint(h, "wide")
	}
	return strconv.FormatUint(uint64(h.Sum32()), 36)
}
