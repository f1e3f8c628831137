{{/*
Name of an object: the release's name and a suffix, at most 63 characters and a valid Service name.
A name that has to be shortened or changed gets a hash, so that two releases never meet. Takes {root, suffix}.
*/}}
{{- define "frontend.name" -}}
{{- $release := .root.Release.Name -}}
{{- $safe := $release | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $safe }}{{ $safe = printf "r%s" $safe }}{{ end -}}
{{- if and (eq $safe $release) (le (add (len $safe) (len .suffix)) 63) -}}
{{- printf "%s%s" $safe .suffix -}}
{{- else -}}
{{- printf "%s-%s%s" ($safe | trunc (int (sub 54 (len .suffix))) | trimSuffix "-") ($release | sha256sum | trunc 8) .suffix -}}
{{- end -}}
{{- end }}

{{- define "frontend.fullname" -}}
{{ include "frontend.name" (dict "root" . "suffix" "") }}
{{- end }}

{{/* The labels that select the pods: immutable, so nothing that changes with a version belongs here. */}}
{{- define "frontend.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "frontend.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "frontend.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: k8s-deployment
{{- end }}

{{/* The three routes by name: path and allowed source ranges. */}}
{{- define "frontend.routes" -}}
public:
  path: /
  ranges: {{ .Values.ingress.publicWhitelist | toJson }}
admin:
  path: /admin
  ranges: {{ .Values.ingress.adminWhitelist | toJson }}
internal:
  path: /api/internal
  ranges: {{ prepend .Values.ingress.internalWhitelist .Values.cluster.podCidr | uniq | toJson }}
{{- end }}

{{/* Namespace of the ingress controller's pods; nothing without a controller. */}}
{{- define "frontend.controllerNamespace" -}}
{{- if ne .Values.ingress.controller "none" -}}
{{ .Values.ingress.controllerNamespace | default (get (dict "nginx" "ingress-nginx" "traefik" "traefik") .Values.ingress.controller) }}
{{- end -}}
{{- end }}

{{/* The backend's full name: nginx's own resolver knows no search domains. */}}
{{- define "frontend.backendHost" -}}
{{ .Values.backend.release }}.{{ .Values.backend.namespace }}.svc.{{ .Values.cluster.domain }}
{{- end }}

{{- define "frontend.configuration" -}}
{{ tpl (.Files.Get "files/nginx.conf") . }}
{{- end }}
