{{/* When a rule of a route holds. */}}
{{- define "mesh.routeMatches" -}}
{{- with .match -}}
matches:
  {{- range . }}
  - headers:
      {{- range $header, $wanted := .headers }}
      - type: Exact
        name: {{ $header }}
        value: {{ required "the Gateway API matches headers by `exact` only" $wanted.exact | quote }}
      {{- end }}
  {{- end }}
{{- end -}}
{{- end }}

{{/* How long a request may take and how often it is tried: only an HTTPRoute can say that. What is
`perTryTimeout` elsewhere counts for all tries together where there is no `retry`, so it goes with it.
Takes a list: root, rule. */}}
{{- define "mesh.routeLimits" -}}
{{- $rule := index . 1 -}}
{{- $retries := (index . 0).Values.gatewayApi.retry | ternary $rule.retries nil -}}
{{- with $retries -}}
retry:
  attempts: {{ .attempts }}
  codes:
    {{- include "mesh.retryCodes" .retryOn | nindent 4 }}
{{- end }}
{{- $tryTimeout := get ($retries | default dict) "perTryTimeout" -}}
{{- if or $rule.timeout $tryTimeout }}
timeouts:
  {{- with $rule.timeout }}
  request: {{ . }}
  {{- end }}
  {{- with $tryTimeout }}
  backendRequest: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The statuses among the conditions of `retryOn`. Of the rest Istio itself adds connect-failure,
refused-stream, unavailable and cancelled; the others cannot be told. */}}
{{- define "mesh.retryCodes" -}}
{{- $codes := list -}}
{{- range splitList "," . -}}
{{- if eq . "5xx" -}}
{{- $codes = concat $codes (list 500 502 503 504) -}}
{{- else if eq . "gateway-error" -}}
{{- $codes = concat $codes (list 502 503 504) -}}
{{- else if regexMatch "^[0-9]+$" . -}}
{{- $codes = append $codes (int .) -}}
{{- end -}}
{{- end -}}
{{- uniq $codes | toYaml -}}
{{- end }}
