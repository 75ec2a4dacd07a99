package lint

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// registryHosts are the hosts of package registries. Which mirror a machine uses is its
// own setting, so nothing here names one: lock files keep names, versions and hashes,
// and installers are called as the machine has set them up.
func registryHosts() []string {
	return []string{
		"proxy." + "golang.org", "sum." + "golang.org",
		"registry." + "npmjs.org", "registry." + "yarnpkg.com",
		"pypi." + "org", "files." + "pythonhosted.org",
		"repo1." + "maven.org", "repo." + "maven.apache.org",
		"deb." + "debian.org", "security." + "debian.org",
		"static." + "crates.io",
	}
}

// hosts finds registries' host names in a text file.
func (r *run) hosts(name, rel string, d fs.DirEntry) error {
	if !d.Type().IsRegular() || strings.HasSuffix(rel, ".sum") {
		return nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if bytes.IndexByte(text[:min(len(text), 8000)], 0) >= 0 {
		return nil // not text
	}
	for _, host := range registryHosts() {
		if before, _, found := bytes.Cut(text, []byte(host)); found {
			line := 1 + bytes.Count(before, []byte("\n"))
			r.add(rel, line, "hosts", fmt.Sprintf("names the registry %s: leave the choice of a mirror to the machine's own settings", host))
		}
	}
	return nil
}
