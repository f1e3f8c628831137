{{/*
Name of an object of this release: a valid Service name of at most 63 characters. If the release's name must be shortened or
changed, a hash keeps it unique. Takes {root, suffix}.
*/}}
{{- define "traefik.name" -}}
{{- $release := .root.Release.Name -}}
{{- $safe := $release | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $safe }}{{ $safe = printf "r%s" $safe }}{{ end -}}
{{- if and (eq $safe $release) (le (add (len $safe) (len .suffix)) 63) -}}
{{- printf "%s%s" $safe .suffix -}}
{{- else -}}
{{- printf "%s-%s%s" ($safe | trunc (int (sub 54 (len .suffix))) | trimSuffix "-") ($release | sha256sum | trunc 8) .suffix -}}
{{- end -}}
{{- end }}

{{- define "traefik.fullname" -}}
{{ include "traefik.name" (dict "root" . "suffix" "") }}
{{- end }}

{{/* Name of a cluster-scoped object, unique across namespaces. */}}
{{- define "traefik.clusterName" -}}
{{ include "traefik.name" (dict "root" . "suffix" (printf "-%s" (.Release.Namespace | sha256sum | trunc 8))) }}
{{- end }}

{{/* Selector labels: immutable, so nothing that changes with a version belongs here. */}}
{{- define "traefik.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "traefik.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "traefik.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: k8s-deployment
{{- end }}

{{/* Image reference: repository, tag and, if set, digest. */}}
{{- define "traefik.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
