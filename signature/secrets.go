package signature

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
)

// The bounds of a list of secrets. 128 bits are the least for a key of HMAC-SHA256 here; every secret costs a hash for each
// signature that is checked.
const (
	MinSecret  = 16 // bytes
	MaxSecrets = 32
	maxFile    = 64 << 10 // bytes
)

// secrets is a list that was found good, newest first. It is never changed: its address stands for it.
type secrets struct{ list []string }

func newSecrets(list []string) (*secrets, error) {
	switch {
	case len(list) == 0:
		return nil, badSecrets("there are none")
	case len(list) > MaxSecrets:
		return nil, badSecrets("there are %d, more than %d", len(list), MaxSecrets)
	}
	for i, secret := range list {
		if len(secret) < MinSecret {
			return nil, badSecrets("number %d has %d bytes, fewer than %d", i+1, len(secret), MinSecret)
		}
	}
	return &secrets{list}, nil
}

// readSecrets reads a file of secrets: one a line, newest first, spaces around it not counted; empty lines and those that
// begin with # say nothing.
func readSecrets(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSecrets, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSecrets, err)
	}
	if len(text) > maxFile {
		return nil, badSecrets("the file has more than %d bytes", maxFile)
	}
	var list []string
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list, lines.Err()
}
