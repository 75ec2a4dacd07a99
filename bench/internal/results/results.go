// Package results writes what a benchmark has found into a folder, where program publish looks for it.
package results

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Write writes a report for people, report.md, and one for programs, report.json. draw draws the report's pictures into the folder.
func Write(folder, markdown string, all any, draw func(folder string) error) error {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return fmt.Errorf("the report: %w", err)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("the report: %w", err)
	}
	for name, content := range map[string][]byte{"report.json": text, "report.md": []byte(markdown)} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			return fmt.Errorf("the report: %w", err)
		}
	}
	return draw(folder)
}
