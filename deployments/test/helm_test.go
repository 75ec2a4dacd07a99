package deployments

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"

	"github.com/millrank/millrank/pipeline/settings"
)

const chartFolder = root + "/deployments/helm/millrank"

// rendered is what the chart makes of values: objects by kind and name.
type rendered map[string]any

// render does what 'helm template' does. The values are YAML.
func render(t *testing.T, values string) (rendered, string, error) {
	t.Helper()
	chart, err := loader.LoadDir(chartFolder)
	if err != nil {
		t.Fatal(err)
	}
	var given map[string]any
	if err := yaml.Unmarshal([]byte(values), &given); err != nil {
		t.Fatal(err)
	}
	version, err := common.ParseKubeVersion("v1.34.0")
	if err != nil {
		t.Fatal(err)
	}
	all, err := util.ToRenderValues(chart, given, common.ReleaseOptions{Name: "shop", Namespace: "prod", Revision: 1, IsInstall: true}, &common.Capabilities{KubeVersion: *version})
	if err != nil {
		return nil, "", err
	}
	files, err := engine.Engine{Strict: true}.Render(chart, all)
	if err != nil {
		return nil, "", err
	}
	objects, notes := rendered{}, ""
	for name, text := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			notes = text
			continue
		}
		for _, document := range strings.Split("\n"+text, "\n---") {
			if o, id := decode(t, name, document); o != nil {
				if objects[id] != nil {
					t.Errorf("%s: %s is there twice", name, id)
				}
				objects[id] = o
			}
		}
	}
	return objects, notes, nil
}

// decode turns a document into Kubernetes' own type: a field that isn't there, or of another type, is an error.
func decode(t *testing.T, file, text string) (object any, id string) {
	t.Helper()
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if err := yaml.Unmarshal([]byte(text), &head); err != nil {
		t.Fatalf("%s: %v\n%s", file, err, text)
	}
	if head == (struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}{}) {
		return nil, "" // only comments
	}
	kinds := map[string]func() any{
		"apps/v1 StatefulSet": func() any { return &apps.StatefulSet{} }, "apps/v1 Deployment": func() any { return &apps.Deployment{} },
		"v1 ConfigMap": func() any { return &core.ConfigMap{} }, "v1 Service": func() any { return &core.Service{} },
		"v1 ServiceAccount": func() any { return &core.ServiceAccount{} }, "v1 Pod": func() any { return &core.Pod{} },
		"batch/v1 Job": func() any { return &batch.Job{} }, "policy/v1 PodDisruptionBudget": func() any { return &policy.PodDisruptionBudget{} },
		"networking.k8s.io/v1 NetworkPolicy":      func() any { return &networking.NetworkPolicy{} },
		"autoscaling/v2 HorizontalPodAutoscaler":  func() any { return &autoscaling.HorizontalPodAutoscaler{} },
		"monitoring.coreos.com/v1 ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
		"monitoring.coreos.com/v1 PrometheusRule": func() any { return &monitoring.PrometheusRule{} },
		"keda.sh/v1alpha1 ScaledObject":           func() any { return &map[string]any{} }, // its types would bring half of Kubernetes' controllers
	}
	make, known := kinds[head.APIVersion+" "+head.Kind]
	if !known {
		t.Fatalf("%s: nobody knows %s %s", file, head.APIVersion, head.Kind)
	}
	object = make()
	if err := yaml.UnmarshalStrict([]byte(text), object); err != nil {
		t.Fatalf("%s: %s %s: %v\n%s", file, head.Kind, head.Metadata.Name, err, text)
	}
	if err := cluster.accepts(t, head.APIVersion, head.Kind, text); err != nil {
		t.Errorf("%s: %s %s: %v\n%s", file, head.Kind, head.Metadata.Name, err, text)
	}
	if head.Metadata.Name == "" || len(head.Metadata.Name) > 63 {
		t.Errorf("%s: %s has the name %q", file, head.Kind, head.Metadata.Name)
	}
	return object, head.Kind + " " + head.Metadata.Name
}

// full has everything that can be switched on.
const full = `
settings:
  clickhouse: {addresses: ["clickhouse:9440"], username: millrank}
  kafka: {security_protocol: SASL_SSL, sasl_mechanism: SCRAM-SHA-512, sasl_username: millrank}
secrets:
  kafka: {name: kafka-user, caKey: ca.crt}
  redis: {name: redis-user}
  clickhouse: {name: clickhouse-user}
  http: {name: millrank-tls, clientCaKey: clients.crt, caKey: ca.crt}
setup:
  secrets: {kafka: {name: kafka-admin}}
  extraEnv: [{name: MILLRANK_KAFKA_SASL_USERNAME, value: millrank-topics}]
image: {digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000", pullSecrets: [registry]}
autoscaling:
  workloads:
    intake: {kind: hpa, minReplicas: 2, maxReplicas: 8, lag: 100000}
    history: {kind: keda, minReplicas: 1, maxReplicas: 4, lag: 5000000}
networkPolicy:
  enabled: true
  egressPorts: [9094]
  ingressFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
serviceMonitor: {enabled: true, labels: {release: prometheus}, tlsConfig: {cert: {secret: {name: prometheus-tls, key: tls.crt}}, keySecret: {name: prometheus-tls, key: tls.key}}}
prometheusRule: {enabled: true}
dashboard: {enabled: true}
serviceAccount: {annotations: {a: b}}
podAnnotations: {a: b}
podLabels: {team: ranking}
nodeSelector: {disk: none}
tolerations: [{key: a, operator: Exists}]
affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}}
priorityClassName: high
extraEnv: [{name: OTEL_SERVICE_NAME, value: shop}]
`

// TestChart renders the chart in all its forms. Every object is one that Kubernetes takes, and every pod is locked up.
func TestChart(t *testing.T) {
	for name, tt := range map[string]struct {
		values string
		want   []string
	}{
		"defaults": {"", []string{
			"ConfigMap shop-millrank", "ConfigMap shop-millrank-setup", "Job shop-millrank-setup", "Pod shop-millrank-test",
			"PodDisruptionBudget shop-millrank-intake", "PodDisruptionBudget shop-millrank-leaderboard", "PodDisruptionBudget shop-millrank-rank",
			"Service shop-millrank", "ServiceAccount shop-millrank",
			"StatefulSet shop-millrank-intake", "StatefulSet shop-millrank-leaderboard", "StatefulSet shop-millrank-rank",
		}},
		"one workload, no Redis": {
			"settings: {redis: {addresses: []}}\nstaticMembership: false\nsetup: {enabled: false}\npodDisruptionBudget: {enabled: false}\nserviceAccount: {create: false}\nfullnameOverride: counts\n" +
				"workloads: {intake: null, rank: null, leaderboard: null, history: null, all: {handlers: [intake, rank, leaderboard, late, history], replicas: 3}}",
			[]string{"ConfigMap counts", "Deployment counts-all", "Pod counts-test", "Service counts"},
		},
		"everything": {full, []string{
			"ConfigMap shop-millrank", "ConfigMap shop-millrank-dashboard", "ConfigMap shop-millrank-setup", "HorizontalPodAutoscaler shop-millrank-intake", "Job shop-millrank-setup",
			"NetworkPolicy shop-millrank", "Pod shop-millrank-test",
			"PodDisruptionBudget shop-millrank-history", "PodDisruptionBudget shop-millrank-intake", "PodDisruptionBudget shop-millrank-leaderboard", "PodDisruptionBudget shop-millrank-rank",
			"PrometheusRule shop-millrank", "ScaledObject shop-millrank-history", "Service shop-millrank", "ServiceAccount shop-millrank", "ServiceMonitor shop-millrank",
			"StatefulSet shop-millrank-history", "StatefulSet shop-millrank-intake", "StatefulSet shop-millrank-leaderboard", "StatefulSet shop-millrank-rank",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			objects, notes, err := render(t, tt.values)
			if err != nil {
				t.Fatal(err)
			}
			if ids := slices.Sorted(maps.Keys(objects)); !slices.Equal(ids, tt.want) {
				t.Errorf("objects:\n%s\nwant:\n%s", strings.Join(ids, "\n"), strings.Join(tt.want, "\n"))
			}
			if !strings.Contains(notes, "millrank status") {
				t.Errorf("notes: %s", notes)
			}
			for id, o := range objects {
				if pod, labels := podOf(o); pod != nil {
					locked(t, id, *pod)
					reaches(t, id, objects, *pod, labels)
				}
				if c, ok := o.(*core.ConfigMap); ok && c.Data["millrank.yaml"] != "" {
					valid(t, id, c.Data["millrank.yaml"])
				}
			}
		})
	}
}

// podOf returns the pod that an object makes, and its labels.
func podOf(o any) (*core.PodSpec, map[string]string) {
	switch o := o.(type) {
	case *apps.StatefulSet:
		return &o.Spec.Template.Spec, o.Spec.Template.Labels
	case *apps.Deployment:
		return &o.Spec.Template.Spec, o.Spec.Template.Labels
	case *batch.Job:
		return &o.Spec.Template.Spec, o.Spec.Template.Labels
	case *core.Pod:
		return &o.Spec, o.Labels
	}
	return nil, nil
}

// locked checks what the Pod Security Standard "restricted" asks for, and some more.
func locked(t *testing.T, id string, p core.PodSpec) {
	t.Helper()
	wrong := func(bad bool, what string) {
		t.Helper()
		if bad {
			t.Errorf("%s: %s", id, what)
		}
	}
	s := p.SecurityContext
	wrong(s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser == 0, "it can run as root")
	wrong(s == nil || s.SeccompProfile == nil || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault, "no seccomp profile")
	wrong(p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken, "it has a token for Kubernetes' API")
	wrong(p.HostNetwork || p.HostPID || p.HostIPC, "it shares the node's namespaces")
	for _, c := range append(slices.Clone(p.InitContainers), p.Containers...) {
		s := c.SecurityContext
		wrong(s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation, c.Name+" can gain privileges")
		wrong(s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem, c.Name+" can write files")
		wrong(s == nil || s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}), c.Name+" has capabilities")
		if id != "Deployment counts-all" { // whose values say nothing of resources
			wrong(c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero(), c.Name+" has no resources")
		}
	}
}

// reaches checks that what a pod refers to is there, and that the Service finds only pods that can answer.
func reaches(t *testing.T, id string, objects rendered, p core.PodSpec, labels map[string]string) {
	t.Helper()
	volumes := map[string]bool{}
	for _, v := range p.Volumes {
		volumes[v.Name] = true
		if v.ConfigMap != nil && objects["ConfigMap "+v.ConfigMap.Name] == nil {
			t.Errorf("%s: there is no ConfigMap %s", id, v.ConfigMap.Name)
		}
	}
	serves := false
	for _, c := range append(slices.Clone(p.InitContainers), p.Containers...) {
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s: there is no volume %s", id, m.Name)
			}
		}
		serves = serves || c.ReadinessProbe != nil
		for _, e := range c.Env {
			if path, ok := strings.CutPrefix(e.Value, "/run/secrets/"); ok && !volumes[strings.Split(path, "/")[0]] {
				t.Errorf("%s: %s is %s, which is not mounted", id, e.Name, e.Value)
			}
			if strings.HasPrefix(e.Name, "MILLRANK_") && len(settings.Unknown([]string{e.Name + "=x"})) > 0 {
				t.Errorf("%s: %s is no setting", id, e.Name)
			}
		}
	}
	for other, o := range objects {
		if s, ok := o.(*core.Service); ok && selects(s.Spec.Selector, labels) != serves {
			t.Errorf("%s: %s finds it: %v, but it serves: %v", id, other, !serves, serves)
		}
		set, ok := o.(*apps.StatefulSet)
		if ok && id == other && !selects(set.Spec.Selector.MatchLabels, labels) {
			t.Errorf("%s doesn't find its own pods", id)
		}
	}
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// valid checks a file of settings as the program does, but for what comes by the environment.
func valid(t *testing.T, id, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "millrank.yaml")
	write(t, file, text)
	environ := []string{}
	if strings.Contains(text, "SASL_SSL") {
		environ = append(environ, "MILLRANK_KAFKA_SASL_PASSWORD=secret")
	}
	if _, err := settings.Load(settings.From{File: file, Environ: environ}); err != nil {
		t.Errorf("%s: %v\n%s", id, err, text)
	}
}

// TestChartDetails: what the chart is for, seen in what it makes.
func TestChartDetails(t *testing.T) {
	objects, _, err := render(t, full)
	if err != nil {
		t.Fatal(err)
	}
	intake := objects["StatefulSet shop-millrank-intake"].(*apps.StatefulSet)
	if intake.Spec.Replicas != nil {
		t.Error("intake is autoscaled, and has replicas: an upgrade would set them back")
	}
	if r := objects["StatefulSet shop-millrank-rank"].(*apps.StatefulSet).Spec.Replicas; r == nil || *r != 2 {
		t.Error("rank has no replicas")
	}
	c := intake.Spec.Template.Spec.Containers[0]
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
		if e.ValueFrom != nil {
			env[e.Name] = e.ValueFrom.FieldRef.FieldPath
		}
	}
	for name, want := range map[string]string{
		"MILLRANK_HANDLERS": "intake", "MILLRANK_KAFKA_GROUP_INSTANCE_ID": "metadata.name", "MILLRANK_KAFKA_SASL_PASSWORD_FILE": "/run/secrets/kafka/password",
		"MILLRANK_KAFKA_SSL_CA_LOCATION": "/run/secrets/kafka/ca.crt", "MILLRANK_REDIS_PASSWORD_FILE": "/run/secrets/redis/password", "OTEL_SERVICE_NAME": "shop",
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	if c.Image != "millrank/millrank@sha256:"+strings.Repeat("0", 64) {
		t.Errorf("image %s", c.Image)
	}
	if c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.LivenessProbe.HTTPGet.Path != "/livez" {
		t.Error("probes ask for something else")
	}
	setup := objects["Job shop-millrank-setup"].(*batch.Job)
	if setup.Annotations["helm.sh/hook"] != "pre-install,pre-upgrade" || setup.Spec.Template.Spec.InitContainers[0].Args[0] != "topics" || setup.Spec.Template.Spec.Containers[0].Args[0] != "migrate" {
		t.Error("the hook doesn't make topics, and then the schema, before anything else")
	}
	for _, v := range setup.Spec.Template.Spec.Volumes {
		if v.Name == "kafka" && v.Secret.SecretName != "kafka-admin" {
			t.Errorf("setup logs in to Kafka with %s", v.Secret.SecretName)
		}
	}
	hpa := objects["HorizontalPodAutoscaler shop-millrank-intake"].(*autoscaling.HorizontalPodAutoscaler)
	if m := hpa.Spec.Metrics[0].External; m.Target.AverageValue.Value() != 100000 || m.Metric.Selector.MatchExpressions[0].Values[0] != "intake" {
		t.Errorf("autoscaling on %+v", m)
	}
	keda := (*objects["ScaledObject shop-millrank-history"].(*map[string]any))["spec"].(map[string]any)
	trigger := keda["triggers"].([]any)[0].(map[string]any)["metadata"].(map[string]any)
	if want := `sum(millrank_partition_lag{namespace="prod",service="shop-millrank",millrank_handler=~"history-cells|history-rankings|history-dead-letters"})`; trigger["query"] != want || trigger["threshold"] != "5000000" {
		t.Errorf("autoscaling on %v", trigger)
	}
	ports := []string{}
	for _, p := range objects["NetworkPolicy shop-millrank"].(*networking.NetworkPolicy).Spec.Egress[0].Ports {
		ports = append(ports, p.Port.String())
	}
	if want := []string{"53", "53", "8080", "9094", "9092", "6379", "9440"}; !slices.Equal(ports, want) {
		t.Errorf("pods may connect to ports %v, want %v", ports, want)
	}
	rule := objects["PrometheusRule shop-millrank"].(*monitoring.PrometheusRule)
	if n := len(rules(t).Groups[0].Rules); len(rule.Spec.Groups) != 1 || len(rule.Spec.Groups[0].Rules) != n {
		t.Errorf("PrometheusRule has not the %d rules of rules.yaml", n)
	}
	if objects["ConfigMap shop-millrank-dashboard"].(*core.ConfigMap).Data["millrank.json"] != strings.TrimRight(read(t, dashboardFile), "\n")+"\n" {
		t.Error("the dashboard is another one than deployments/grafana/millrank.json")
	}
}

// TestChartEncrypts: with a Secret for it, the pods' own server encrypts, and those who ask it know: probes, Prometheus, and what 'helm test' runs. Without, none does.
func TestChartEncrypts(t *testing.T) {
	const variable = "MILLRANK_HTTP_TLS_CERTIFICATE_FILE"
	for values, scheme := range map[string]core.URIScheme{
		"serviceMonitor: {enabled: true}":                                                  core.URISchemeHTTP,
		"serviceMonitor: {enabled: true}\nsecrets: {http: {name: own-tls, caKey: ca.crt}}": core.URISchemeHTTPS,
		full: core.URISchemeHTTPS,
	} {
		objects, _, err := render(t, values)
		if err != nil {
			t.Fatal(err)
		}
		encrypts := scheme == core.URISchemeHTTPS
		for id, o := range objects {
			pod, _ := podOf(o)
			if pod == nil {
				continue
			}
			for _, c := range append(slices.Clone(pod.InitContainers), pod.Containers...) {
				has := slices.ContainsFunc(c.Env, func(e core.EnvVar) bool { return e.Name == variable && e.Value == "/run/secrets/http/tls.crt" })
				if setup := strings.HasPrefix(id, "Job "); has != (encrypts && !setup) {
					t.Errorf("%s, %s: it has %s: %v", id, c.Name, variable, has)
				}
				for _, probe := range []*core.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
					if probe != nil && probe.HTTPGet.Scheme != scheme {
						t.Errorf("%s: a probe asks by %s, want %s", id, probe.HTTPGet.Scheme, scheme)
					}
				}
			}
		}
		endpoint := objects["ServiceMonitor shop-millrank"].(*monitoring.ServiceMonitor).Spec.Endpoints[0]
		if endpoint.Scheme == nil || !strings.EqualFold(string(*endpoint.Scheme), string(scheme)) || (endpoint.TLSConfig != nil) != encrypts {
			t.Errorf("Prometheus asks by %v, with %+v", endpoint.Scheme, endpoint.TLSConfig)
		}
		if !encrypts {
			continue
		}
		if c := endpoint.TLSConfig; c.ServerName == nil || *c.ServerName != "shop-millrank.prod.svc" || c.CA.Secret == nil || c.CA.Secret.Key != "ca.crt" || (values == full) != (c.KeySecret != nil && c.Cert.Secret != nil) {
			t.Errorf("Prometheus trusts and shows %+v", c)
		}
	}
}

// TestChartRefuses: values that can't be right are refused, with words that say what to mend.
func TestChartRefuses(t *testing.T) {
	for values, want := range map[string]string{
		"nonsense: 1":                                     "nonsense",
		"settings: {boards: []}":                          "boards",
		"settings: {redis: {password: secret}}":           "password",
		"settings: {handlers: [intake]}":                  "handlers",
		"settings: {http: {tls: {key_file: /key}}}":       "tls",
		"secrets: {http: {name: a, certificateKey: ''}}":  "certificateKey",
		"workloads: {intake: {handlers: [eat]}}":          "handlers",
		"workloads: {rank: null}":                         "the handler rank runs nowhere",
		"workloads: {x: {handlers: [rank], replicas: 1}}": "the handler rank runs in two workloads",
		"autoscaling: {workloads: {x: {kind: hpa, minReplicas: 1, maxReplicas: 2, lag: 1}}}": "there is no workload x",
		"image: {digest: latest}":            "digest",
		"terminationGracePeriodSeconds: 30s": "terminationGracePeriodSeconds",
	} {
		if _, _, err := render(t, values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want something of %q", values, err, want)
		}
	}
}

// TestChartLint is 'helm lint --strict'.
func TestChartLint(t *testing.T) {
	result := lint.RunAll(chartFolder, map[string]any{}, "prod")
	for _, m := range result.Messages {
		if text := fmt.Sprint(m); !strings.Contains(text, "icon is recommended") {
			t.Error(text)
		}
	}
}
