{{- define "millrank.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "millrank.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "millrank.labels" -}}
{{ include "millrank.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: millrank
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "millrank.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "millrank.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{- define "millrank.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end }}

{{/* The handlers of a list that the settings call for, as JSON. */}}
{{- define "millrank.handlers" -}}
{{- $redis := dig "redis" "addresses" (list) .root.Values.settings -}}
{{- $clickhouse := dig "clickhouse" "addresses" (list) .root.Values.settings -}}
{{- $runs := list -}}
{{- range .handlers -}}
{{- if or (has . (list "intake" "rank")) (and (has . (list "leaderboard" "late")) $redis) (and (eq . "history") $clickhouse) -}}
{{- $runs = append $runs . -}}
{{- end -}}
{{- end -}}
{{- toJson $runs -}}
{{- end }}

{{/* The workloads with handlers to run, as JSON: name -> workload. A handler that runs nowhere, or that two workloads run, is a mistake. */}}
{{- define "millrank.workloads" -}}
{{- $all := dict -}}
{{- $run := list -}}
{{- range $name, $w := .Values.workloads -}}
{{- if $w -}}
{{- $handlers := include "millrank.handlers" (dict "root" $ "handlers" $w.handlers) | fromJsonArray -}}
{{- if $handlers -}}
{{- $_ := set $all $name (merge (dict "handlers" $handlers) (omit $w "handlers")) -}}
{{- range $handlers -}}
{{- if has . $run -}}{{- fail (printf "workloads: the handler %s runs in two workloads; leave it in one" .) -}}{{- end -}}
{{- $run = append $run . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range include "millrank.handlers" (dict "root" $ "handlers" (list "intake" "rank" "leaderboard" "late" "history")) | fromJsonArray -}}
{{- if not (has . $run) -}}{{- fail (printf "workloads: the handler %s runs nowhere; give it to a workload" .) -}}{{- end -}}
{{- end -}}
{{- toJson $all -}}
{{- end }}

{{- define "millrank.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- $http := merge (dict "address" ":8080") (get $settings "http" | default dict) -}}
{{- toYaml (set $settings "http" $http) -}}
{{- end }}

{{- define "millrank.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "millrank.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where the files of secrets are, as environment variables. */}}
{{- define "millrank.secretEnv" -}}
{{- $names := dict
  "kafka" (dict "passwordKey" "KAFKA_SASL_PASSWORD_FILE" "caKey" "KAFKA_SSL_CA_LOCATION" "certificateKey" "KAFKA_SSL_CERTIFICATE_LOCATION" "keyKey" "KAFKA_SSL_KEY_LOCATION")
  "redis" (dict "passwordKey" "REDIS_PASSWORD_FILE" "caKey" "REDIS_TLS_CA_FILE" "certificateKey" "REDIS_TLS_CERTIFICATE_FILE" "keyKey" "REDIS_TLS_KEY_FILE")
  "clickhouse" (dict "passwordKey" "CLICKHOUSE_PASSWORD_FILE" "caKey" "CLICKHOUSE_TLS_CA_FILE" "certificateKey" "CLICKHOUSE_TLS_CERTIFICATE_FILE" "keyKey" "CLICKHOUSE_TLS_KEY_FILE")
  "http" (dict "certificateKey" "HTTP_TLS_CERTIFICATE_FILE" "keyKey" "HTTP_TLS_KEY_FILE" "clientCaKey" "HTTP_TLS_CLIENT_CA_FILE" "caKey" "HTTP_TLS_CA_FILE") -}}
{{- range $store, $secret := .secrets }}
{{- if $secret.name }}
{{- range $key, $variable := get $names $store }}
{{- with get $secret $key }}
- name: MILLRANK_{{ $variable }}
  value: /run/secrets/{{ $store }}/{{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* How the pods' own HTTP server is asked, as Kubernetes and Prometheus write it. */}}
{{- define "millrank.scheme" -}}
{{ ternary "HTTPS" "HTTP" (not (empty .Values.secrets.http.name)) }}
{{- end }}

{{- define "millrank.mounts" -}}
- {name: settings, mountPath: /etc/millrank, readOnly: true}
{{- range $store, $secret := .secrets }}
{{- if $secret.name }}
- {name: {{ $store }}, mountPath: /run/secrets/{{ $store }}, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{- define "millrank.volumes" -}}
- name: settings
  configMap: {name: {{ .config }}}
{{- range $store, $secret := .secrets }}
{{- if $secret.name }}
- name: {{ $store }}
  secret: {secretName: {{ $secret.name }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- end }}

{{- define "millrank.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}
