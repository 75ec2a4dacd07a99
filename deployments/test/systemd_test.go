package deployments

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestUnit: systemd understands the unit, and finds it well locked up.
func TestUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("there is no systemd-analyze on this machine:", err)
	}
	// The program is where the test has it, and an instance has a name.
	unit := strings.ReplaceAll(read(t, "deployments/systemd/millrank@.service"), "/usr/local/bin/millrank", millrankPath(t))
	file := filepath.Join(t.TempDir(), "millrank@shop.service")
	write(t, file, unit)
	if out := run(t, ".", nil, "systemd-analyze", "verify", "--man=no", file); strings.Contains(out, "millrank@") {
		t.Errorf("systemd says:\n%s", out)
	}
	out, err := try(t, ".", nil, "systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", file) // tenths: 2.0 is OK, 9.6 is UNSAFE
	found := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(out)
	if err != nil || found == nil {
		t.Errorf("%v\n%s", err, out)
	} else {
		t.Logf("exposure %s", found[1])
	}
}
