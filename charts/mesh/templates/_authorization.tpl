{{/* Who the gateway is, as a YAML list. */}}
{{- define "mesh.gatewayPrincipals" -}}
{{- $principals := list -}}
{{- if eq .Values.api "istio" -}}
{{- range .Values.gateway.serviceAccounts -}}
{{- $principals = append $principals (include "mesh.principal" (list $ $.Values.gateway.namespace .)) -}}
{{- end -}}
{{- else -}}
{{- range $name, $_ := include "mesh.rules" (list . "Gateway") | fromYaml -}}
{{- $account := include "mesh.gatewayPods" (list $ $name) -}}
{{- $principals = append $principals (include "mesh.principal" (list $ $.Release.Namespace $account)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $principals -}}
{{- end }}

{{/* Who may call a role, as a YAML list: its callers, and itself. Takes a list: root, role, callers. */}}
{{- define "mesh.callerPrincipals" -}}
{{- $root := index . 0 -}}
{{- $principals := $root.Values.authorization.extraPrincipals -}}
{{- range append (index . 2) (index . 1) -}}
{{- if eq . "gateway" -}}
{{- $principals = concat $principals (include "mesh.gatewayPrincipals" $root | fromYamlArray) -}}
{{- else -}}
{{- $principals = append $principals (include "mesh.principal" (list $root $root.Release.Namespace .)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $principals -}}
{{- end }}

{{/* Lets everybody in at the ports that take plaintext. */}}
{{- define "mesh.plaintextRule" -}}
{{- with .Values.mtls.plaintextPorts -}}
- to:
    - operation:
        ports:
          {{- range . }}
          - {{ toString . | quote }}
          {{- end }}
{{- end -}}
{{- end }}
