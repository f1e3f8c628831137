{{/*
Name of an object of this release: at most 63 characters and a valid Service name. A release that has to be shortened or changed
gets a hash, so that two releases never meet. Takes {root, suffix}.
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

{{/* Name of an object that the whole cluster sees: two releases in two namespaces never meet. */}}
{{- define "traefik.clusterName" -}}
{{ include "traefik.name" (dict "root" . "suffix" (printf "-%s" (.Release.Namespace | sha256sum | trunc 8))) }}
{{- end }}

{{/* The labels that select the pods: immutable, so nothing that changes with a version belongs here. */}}
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

{{/* An image by its tag, and by its digest where one is given: then no other content can come under the tag. */}}
{{- define "traefik.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
