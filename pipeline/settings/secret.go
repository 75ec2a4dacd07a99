package settings

import (
	"fmt"
	"log/slog"
)

// Secret is a text that doesn't print itself: whatever is printed, logged or marshaled has *** in its place. Convert it to a string to use it.
type Secret string

const hidden = "***"

// String returns *** for a secret, and nothing where there is none.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// Format writes String, whatever the verb is.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText writes String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue returns String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
