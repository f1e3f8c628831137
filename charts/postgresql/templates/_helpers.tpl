{{/*
Name of an object: the release's name and a suffix, at most 63 characters and a valid Service name.
A name that has to be shortened or changed gets a hash, so that two releases never meet. Takes {root, suffix}.
*/}}
{{- define "postgresql.name" -}}
{{- $release := .root.Release.Name -}}
{{- $safe := $release | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $safe }}{{ $safe = printf "r%s" $safe }}{{ end -}}
{{- if and (eq $safe $release) (le (add (len $safe) (len .suffix)) 63) -}}
{{- printf "%s%s" $safe .suffix -}}
{{- else -}}
{{- printf "%s-%s%s" ($safe | trunc (int (sub 54 (len .suffix))) | trimSuffix "-") ($release | sha256sum | trunc 8) .suffix -}}
{{- end -}}
{{- end }}

{{- define "postgresql.fullname" -}}
{{ include "postgresql.name" (dict "root" . "suffix" "") }}
{{- end }}

{{- define "postgresql.secretName" -}}
{{ include "postgresql.name" (dict "root" . "suffix" "-superuser") }}
{{- end }}

{{/* The labels that select the pods: immutable, so nothing that changes with a version belongs here. */}}
{{- define "postgresql.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "postgresql.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "postgresql.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: k8s-deployment
{{- end }}
