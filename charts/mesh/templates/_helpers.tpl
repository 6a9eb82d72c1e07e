{{/* What stands below `metadata` of every object. Takes a dict: root and name; namespace, labels and
annotations where an object has its own. What the user says wins. */}}
{{- define "mesh.metadata" -}}
{{- $values := .root.Values -}}
{{- $standard := dict
      "app.kubernetes.io/name" .root.Chart.Name
      "app.kubernetes.io/instance" .root.Release.Name
      "app.kubernetes.io/part-of" "tracehop"
      "app.kubernetes.io/version" .root.Chart.AppVersion
      "app.kubernetes.io/managed-by" .root.Release.Service
      "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version) -}}
name: {{ .name }}
namespace: {{ .namespace | default .root.Release.Namespace }}
labels:
  {{- merge dict $values.extraLabels (.labels | default dict) $standard | toYaml | nindent 2 }}
{{- with merge dict $values.extraAnnotations (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The full name of a service of this namespace. A name with a dot is one already.
Takes a list: root, name. */}}
{{- define "mesh.fullName" -}}
{{- $root := index . 0 -}}
{{- $host := index . 1 -}}
{{- if contains "." $host -}}
{{ $host }}
{{- else -}}
{{ $host }}.{{ $root.Release.Namespace }}.svc.{{ $root.Values.clusterDomain }}
{{- end -}}
{{- end }}

{{/* Who somebody with this service account is. Takes a list: root, namespace, service account. */}}
{{- define "mesh.principal" -}}
{{ (index . 0).Values.trustDomain }}/ns/{{ index . 1 }}/sa/{{ index . 2 }}
{{- end }}

{{/* The namespace of the gateway's pods: Istio runs the pods of a Gateway API gateway beside it. */}}
{{- define "mesh.gatewayNamespace" -}}
{{ eq .Values.api "istio" | ternary .Values.gateway.namespace .Release.Namespace }}
{{- end }}

{{/* The service account of the pods that Istio starts for a Gateway API gateway; also their Service.
Takes a list: root, name of the gateway. */}}
{{- define "mesh.gatewayPods" -}}
{{ index . 1 }}-{{ (index . 0).Values.gatewayApi.className }}
{{- end }}
