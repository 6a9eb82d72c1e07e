{{/*
What the roles of the lesson know without being told: whom they call, and, for the NetworkPolicy,
who is before and after them. Values win over it (upstream.uri, networkPolicy.before, ...).
*/}}
{{- define "hop.roles" -}}
frontend:
  upstream: grpc://middleware:9090
  gateway: true
  before: []
  after: [middleware]
middleware:
  upstream: grpc://backend:9090
  before: [frontend]
  after: [backend]
backend:
  upstream: http://clock.outside:8080/time
  before: [middleware]
  after: []
  callsClock: true
clock:
  tracingDisabled: true
{{- end }}

{{/* The entry above of this release's role; other roles have none. */}}
{{- define "hop.role" -}}
{{- get (include "hop.roles" . | fromYaml) .Values.role | default dict | toYaml }}
{{- end }}

{{- define "hop.upstream" -}}
{{- if kindIs "invalid" .Values.upstream.uri -}}
{{- (include "hop.role" . | fromYaml).upstream | default "" }}
{{- else -}}
{{- .Values.upstream.uri }}
{{- end }}
{{- end }}

{{/* "true" or "false" */}}
{{- define "hop.tracingDisabled" -}}
{{- if kindIs "invalid" .Values.tracing.disabled -}}
{{- (include "hop.role" . | fromYaml).tracingDisabled | default false }}
{{- else -}}
{{- .Values.tracing.disabled }}
{{- end }}
{{- end }}
