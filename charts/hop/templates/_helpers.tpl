{{/* The name of what belongs to this version. What all versions share is named by the role alone. */}}
{{- define "hop.name" -}}
{{ .Values.role }}-{{ .Values.version }}
{{- end }}

{{/* Never changes in the life of a release: a Deployment's selector cannot. */}}
{{- define "hop.selector" -}}
app: {{ .Values.role }}
version: {{ .Values.version }}
app.kubernetes.io/name: {{ .Values.role }}
app.kubernetes.io/instance: {{ toYaml .Release.Name }}
{{- end }}

{{/* Of what all versions share. */}}
{{- define "hop.sharedLabels" -}}
app: {{ .Values.role }}
app.kubernetes.io/name: {{ .Values.role }}
app.kubernetes.io/instance: {{ toYaml .Release.Name }}
{{ include "hop.commonLabels" . }}
{{- end }}

{{/* Of what belongs to this version. */}}
{{- define "hop.labels" -}}
{{ include "hop.selector" . }}
{{ include "hop.commonLabels" . }}
{{- end }}

{{- define "hop.commonLabels" -}}
app.kubernetes.io/component: hop
app.kubernetes.io/part-of: tracehop
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- with .Values.extraLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
Istio would take its canonical names from the app.kubernetes.io labels, so they are said. The
versions of chart and app are left out: an upgrade that changes nothing else restarts no pod.
*/}}
{{- define "hop.podLabels" -}}
{{ include "hop.selector" . }}
app.kubernetes.io/component: hop
app.kubernetes.io/part-of: tracehop
service.istio.io/canonical-name: {{ .Values.role }}
service.istio.io/canonical-revision: {{ .Values.version }}
{{- with .Values.extraLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "hop.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* "true", or nothing */}}
{{- define "hop.ownsShared" -}}
{{- if kindIs "invalid" .Values.shared.create -}}
{{- if eq .Values.version "prod" }}true{{ end }}
{{- else if .Values.shared.create -}}
true
{{- end }}
{{- end }}

{{- define "hop.serviceAccount" -}}
{{ .Values.serviceAccount.name | default .Values.role }}
{{- end }}

{{/* How many pods there are at least. */}}
{{- define "hop.leastPods" -}}
{{ ternary .Values.autoscaling.minReplicas .Values.replicas .Values.autoscaling.enabled }}
{{- end }}

{{/* "true", or nothing */}}
{{- define "hop.hasPdb" -}}
{{- if and (ne .Values.pdb.enabled false) (gt (include "hop.leastPods" . | int) 1) }}true{{ end }}
{{- end }}

{{/* The settings of tracehop-server, as its --help lists them. */}}
{{- define "hop.settings" -}}
ROLE: {{ .Values.role | quote }}
VERSION: {{ .Values.version | quote }}
{{- with include "hop.upstream" . }}
UPSTREAM_URI: {{ . | quote }}
UPSTREAM_TIMEOUT: {{ $.Values.upstream.timeout | quote }}
UPSTREAM_ORDER: {{ $.Values.upstream.order | quote }}
ON_UPSTREAM_FAILURE: {{ $.Values.upstream.onFailure | quote }}
{{- end }}
{{- with .Values.forwardHeaders }}
FORWARD_HEADERS: {{ join "," . | quote }}
{{- end }}
{{- with .Values.work }}
{{- if ne .kind "none" }}
WORK: {{ .kind | quote }}
WORK_SLEEP_MAX: {{ .sleepMax | quote }}
WORK_FIBONACCI_MAX: {{ .fibonacciMax | int | quote }}
{{- end }}
{{- end }}
{{- if not (kindIs "invalid" .Values.faults.seed) }}
FAULT_SEED: {{ .Values.faults.seed | int64 | quote }}
{{- end }}
{{- with .Values.tracing }}
{{- if eq (include "hop.tracingDisabled" $) "true" }}
OTEL_SDK_DISABLED: "true"
{{- else }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ .endpoint | quote }}
OTEL_EXPORTER_OTLP_PROTOCOL: {{ .protocol | quote }}
OTEL_PROPAGATORS: {{ join "," .propagators | quote }}
OTEL_TRACES_SAMPLER: {{ .sampler | quote }}
{{- if not (kindIs "invalid" .samplerArg) }}
OTEL_TRACES_SAMPLER_ARG: {{ .samplerArg | quote }}
{{- end }}
{{- end }}
{{- with .url }}
TRACE_URL: {{ . | quote }}
{{- end }}
{{- end }}
DRAIN_GRACE: "{{ .Values.drain.graceSeconds | int }}s"
DRAIN_TIMEOUT: "{{ .Values.drain.timeoutSeconds | int }}s"
LOG_LEVEL: {{ .Values.log.level | quote }}
LOG_FORMAT: {{ .Values.log.format | quote }}
{{- end }}

{{/* What comes from the pod itself: the names that Kubernetes gave it, for its spans. */}}
{{- define "hop.env" -}}
{{- if ne (include "hop.tracingDisabled" .) "true" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ include "hop.resourceAttributes" . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "hop.resourceAttributes" -}}
k8s.namespace.name=$(POD_NAMESPACE),k8s.deployment.name={{ include "hop.name" . }},k8s.pod.name=$(POD_NAME),k8s.container.name=hop,k8s.node.name=$(NODE_NAME),service.instance.id=$(POD_NAME)
{{- range $key, $value := .Values.tracing.resourceAttributes }},{{ $key }}={{ $value }}{{ end }}
{{- end }}

{{/* Longer than the program itself takes to end: it waits for requests, then for its spans to leave. */}}
{{- define "hop.terminationSeconds" -}}
{{- with .Values.drain -}}
{{ add .preStopSeconds .graceSeconds (mul 2 .timeoutSeconds) 5 }}
{{- end }}
{{- end }}
