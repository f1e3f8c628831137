{{/*
Object name from the release's name: a valid Service name of at most 52 characters, because a StatefulSet's pods carry it plus ten
characters in a label. If it must be shortened or changed, a hash keeps it unique.
*/}}
{{- define "stand-in.release" -}}
{{- $release := .Release.Name -}}
{{- $safe := $release | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $safe }}{{ $safe = printf "r%s" $safe }}{{ end -}}
{{- if and (eq $safe $release) (le (len $safe) 52) -}}
{{ $safe }}
{{- else -}}
{{- printf "%s-%s" ($safe | trunc 43 | trimSuffix "-") ($release | sha256sum | trunc 8) -}}
{{- end -}}
{{- end }}

{{- define "stand-in.name" -}}
{{ .Values.workload.name | default (include "stand-in.release" .) }}
{{- end }}

{{- define "stand-in.serviceAccount" -}}
{{ .Values.serviceAccount | default (include "stand-in.release" .) }}
{{- end }}

{{/* Selector labels: immutable, so nothing that changes with a version belongs here. */}}
{{- define "stand-in.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "stand-in.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "stand-in.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: k8s-deployment
k8s-deployment/simulated: "true"
{{- end }}

{{/* Image reference: repository, tag and, if set, digest. */}}
{{- define "stand-in.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
