package deployments

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// project loads docker-compose.yml as Compose itself does: against its schema, with merges, defaults and references.
func project(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")}, cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCompose: the file is one that Compose takes, and each of its services is locked up.
func TestCompose(t *testing.T) {
	p := project(t)
	want := []string{"clickhouse", "grafana", "kafka", "migrate", "millrank", "producer", "prometheus", "redis", "source-topic", "topics"}
	if names := p.ServiceNames(); !slices.Equal(names, want) {
		t.Errorf("services: %v, want %v", names, want)
	}
	pinned := regexp.MustCompile(`^[a-z/-]+:(v?[0-9]+\.[0-9]+[0-9a-z.-]*|dev)$`)
	for name, s := range p.Services {
		wrong := func(bad bool, what string) {
			if bad {
				t.Errorf("%s: %s", name, what)
			}
		}
		wrong(!pinned.MatchString(s.Image), "the image "+s.Image+" has no version, or names a host")
		wrong(!s.ReadOnly, "its files can be written to: read_only")
		wrong(!slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0, "it has capabilities: cap_drop")
		wrong(!slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}), "it can gain privileges: security_opt")
		user, _, _ := strings.Cut(s.User, ":")
		wrong(user == "" || user == "0" || user == "root", "it runs as root: user")
		wrong(s.Privileged || s.NetworkMode == "host" || s.Pid != "", "it shares the machine's namespaces")
		wrong(s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 || s.Deploy.Resources.Limits.NanoCPUs == 0 || s.Deploy.Resources.Limits.Pids == 0, "it has no limits: deploy.resources.limits")
		wrong(s.Restart == "" || s.Restart == "no", "nobody starts it again: restart")
		wrong(s.HealthCheck == nil && name != "source-topic", "nobody looks how it is: healthcheck")
		for _, port := range s.Ports {
			wrong(port.HostIP != "127.0.0.1", "other machines can reach port "+port.Published)
		}
		for _, v := range s.Volumes {
			wrong(v.Type == types.VolumeTypeBind && !v.ReadOnly, "it can write to "+v.Source)
			if v.Type == types.VolumeTypeBind {
				if found, err := filepath.Glob(v.Source); err != nil || len(found) != 1 {
					t.Errorf("%s mounts %s, which isn't there", name, v.Source)
				}
			}
		}
		for on, d := range s.DependsOn {
			other := p.Services[on]
			wrong(d.Condition == types.ServiceConditionHealthy && (other.HealthCheck == nil || other.HealthCheck.Disable), "it waits for the health of "+on+", which has no check")
			wrong(d.Condition == types.ServiceConditionStarted, "it doesn't wait until "+on+" is ready")
		}
	}
	if grace := p.Services["millrank"].StopGracePeriod; grace == nil || grace.String() != "30s" {
		t.Errorf("millrank: stop_grace_period is %v, want more than shutdown_timeout", grace)
	}
}
