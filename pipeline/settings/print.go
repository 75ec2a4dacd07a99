package settings

import (
	"fmt"
	"log/slog"

	"github.com/goccy/go-yaml"
)

// plain is Settings without its methods.
type plain Settings

// String returns the settings as YAML, with *** for secrets.
func (s Settings) String() string {
	text, err := yaml.Marshal(plain(s))
	if err != nil {
		return fmt.Sprintf("settings that can't be written: %v", err)
	}
	return string(text)
}

// MarshalYAML returns the settings, with *** for secrets.
func (s Settings) MarshalYAML() (any, error) { return plain(s), nil }

// MarshalJSON returns the settings by the names that they have in a file, with *** for secrets.
func (s Settings) MarshalJSON() ([]byte, error) { return yaml.YAMLToJSON([]byte(s.String())) }

// LogValue returns the settings as text, with *** for secrets.
func (s Settings) LogValue() slog.Value { return slog.StringValue(s.String()) }
