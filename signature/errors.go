package signature

import (
	"errors"
	"fmt"
)

// Error says why a request is not let in. Each has a code of its own for clients to branch on.
type Error struct{ Code, text string }

func (e *Error) Error() string { return "signature: " + e.text }

// Why Check refuses, in the order in which it looks. None of them repeats what was sent.
var (
	ErrMissing   = &Error{"MissingSignature", "X-Signature or X-Expires is missing, or one is given twice"}
	ErrExpires   = &Error{"InvalidExpires", "X-Expires is no time"}
	ErrExpired   = &Error{"SignatureExpired", "the signature has expired"}
	ErrTooLong   = &Error{"SignatureTTLExceeded", "the signature is good for longer than is allowed"}
	ErrPath      = &Error{"InvalidPath", "the signed path does not cover the request"}
	ErrSignature = &Error{"InvalidSignature", "no secret made the signature"}
)

// ErrSecrets says that a list of secrets cannot be used, and why, without repeating any of them.
var ErrSecrets = errors.New("signature: unusable secrets")

func badSecrets(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrSecrets}, args...)...)
}
