{{/* The files of the steps up to the chosen one, in their order, as a YAML list. */}}
{{- define "mesh.stepFiles" -}}
{{- $paths := list -}}
{{- range $path, $_ := .Files.Glob "steps/*.yaml" -}}
{{- if not (hasSuffix (printf "-%s.yaml" $.Values.step) (last $paths | default "")) -}}
{{- $paths = append $paths $path -}}
{{- end -}}
{{- end -}}
{{- toYaml $paths -}}
{{- end }}

{{/* "true" from the named step on, otherwise empty. Takes a list: root, name of the step. */}}
{{- define "mesh.isMade" -}}
{{- range include "mesh.stepFiles" (index . 0) | fromYamlArray -}}
{{- if hasSuffix (printf "-%s.yaml" (index $ 1)) . -}}
true
{{- end -}}
{{- end -}}
{{- end }}

{{/* The rules of one kind that hold at the chosen step, from name to spec. A later one replaces the
earlier of its name, as when the files are applied one after the other. Takes a list: root, kind. */}}
{{- define "mesh.rules" -}}
{{- $root := index . 0 -}}
{{- $kind := index . 1 -}}
{{- $specs := dict -}}
{{- range $path := include "mesh.stepFiles" $root | fromYamlArray -}}
{{- range splitList "\n---\n" ($root.Files.Get $path) -}}
{{- $rule := fromYaml . -}}
{{- if $rule.Error -}}
{{- fail (printf "%s: %s" $path $rule.Error) -}}
{{- end -}}
{{- if eq ($rule.kind | default "") $kind -}}
{{- $specs = set $specs $rule.metadata.name $rule.spec -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $specs -}}
{{- end }}

{{/* The Service of the version that a destination's subset stands for; without a subset, that of
the role. Takes a list: root, destination. */}}
{{- define "mesh.versionService" -}}
{{- $destination := index . 1 -}}
{{- $service := $destination.host -}}
{{- range include "mesh.rules" (list (index . 0) "DestinationRule") | fromYaml -}}
{{- if eq .host $destination.host -}}
{{- range .subsets -}}
{{- if eq .name ($destination.subset | default "") -}}
{{- $service = printf "%s-%s" $destination.host .labels.version -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ $service }}
{{- end }}

{{/* The Services of a role: its own and one for each version that has a name, as a YAML list.
Takes a list: root, role. */}}
{{- define "mesh.services" -}}
{{- $role := index . 1 -}}
{{- $services := list $role -}}
{{- range include "mesh.rules" (list (index . 0) "DestinationRule") | fromYaml -}}
{{- if eq .host $role -}}
{{- range .subsets -}}
{{- $services = append $services (printf "%s-%s" $role .labels.version) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $services -}}
{{- end }}
