//go:build !amd64 && !arm64

package pool

// There is no filter for other architectures; Containment says so.
const (
	architecture = 0
	foreignCalls = 0
)

var refusedHere []uint32

var opens []struct{ call, flags uint32 }
