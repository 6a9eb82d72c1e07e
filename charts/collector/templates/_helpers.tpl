{{/* Never changes in the life of a release: a workload's selector cannot. */}}
{{- define "collector.selector" -}}
app: {{ .Values.name }}
app.kubernetes.io/name: {{ .Values.name }}
app.kubernetes.io/instance: {{ toYaml .Release.Name }}
{{- end }}

{{- define "collector.labels" -}}
{{ include "collector.selector" . }}
app.kubernetes.io/component: collector
app.kubernetes.io/part-of: tracehop
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- with .Values.extraLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The versions of chart and app are left out: an upgrade that changes nothing else restarts no pod. */}}
{{- define "collector.podLabels" -}}
{{ include "collector.selector" . }}
app.kubernetes.io/component: collector
app.kubernetes.io/part-of: tracehop
service.istio.io/canonical-name: {{ .Values.name }}
{{- with .Values.extraLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "collector.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "collector.serviceAccount" -}}
{{ .Values.serviceAccount.name | default .Values.name }}
{{- end }}

{{/* "true", or nothing: whether the journal has a volume that outlives its pod. */}}
{{- define "collector.hasVolume" -}}
{{- if kindIs "invalid" .Values.journal.enabled -}}
{{- if .Values.relayTo }}true{{ end }}
{{- else if .Values.journal.enabled -}}
true
{{- end }}
{{- end }}

{{/* "true", or nothing */}}
{{- define "collector.hasPdb" -}}
{{- if and (ne .Values.pdb.enabled false) (gt (int .Values.replicas) 1) }}true{{ end }}
{{- end }}

{{/* Nine tenths of the volume: a file system needs room of its own, and the oldest spans go by segments. */}}
{{- define "collector.maxBytes" -}}
{{- with .Values.journal -}}
{{- if .maxBytes -}}
{{ .maxBytes }}
{{- else -}}
{{- $unit := regexFind "[MGT]i$" .size -}}
{{- $mebibytes := get (dict "Mi" 1 "Gi" 1024 "Ti" 1048576) $unit -}}
{{ div (mul 9 $mebibytes (trimSuffix $unit .size | int64)) 10 }}MiB
{{- end }}
{{- end }}
{{- end }}

{{/* The settings of tracehop-collector, as its --help lists them. */}}
{{- define "collector.settings" -}}
{{- with .Values.relayTo }}
RELAY_TO: {{ join "," . | quote }}
RELAY_TIMEOUT: {{ $.Values.relayTimeout | quote }}
{{- with $.Values.journal }}
JOURNAL_DIR: /var/lib/tracehop/journal
JOURNAL_MAX_BYTES: {{ include "collector.maxBytes" $ | quote }}
JOURNAL_MAX_AGE: {{ .maxAge | quote }}
DURABILITY: {{ .durability | quote }}
{{- if eq .durability "interval" }}
SYNC_INTERVAL: {{ .syncInterval | quote }}
{{- end }}
{{- end }}
{{- end }}
MAX_REQUEST_BYTES: {{ .Values.maxRequestBytes | quote }}
RECENT_TRACES: {{ .Values.recentTraces | int | quote }}
WORKERS: {{ .Values.workers | int | quote }}
DRAIN_GRACE: "{{ .Values.drain.graceSeconds | int }}s"
DRAIN_TIMEOUT: "{{ .Values.drain.timeoutSeconds | int }}s"
LOG_LEVEL: {{ .Values.log.level | quote }}
LOG_FORMAT: {{ .Values.log.format | quote }}
{{- end }}

{{/* Longer than the program itself takes to end: it waits for requests, then for the relay. */}}
{{- define "collector.terminationSeconds" -}}
{{- with .Values.drain -}}
{{ add .preStopSeconds .graceSeconds (mul 2 .timeoutSeconds) 5 }}
{{- end }}
{{- end }}
