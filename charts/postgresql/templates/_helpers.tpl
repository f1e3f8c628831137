{{/*
Name for a release and a suffix: at most 63 characters (or `limit`) and a valid Service name. A release that has to be
shortened or changed gets a hash, so that two releases never meet. Takes {release, suffix, limit}.
*/}}
{{- define "postgresql.safe" -}}
{{- $limit := .limit | default 63 -}}
{{- $safe := .release | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $safe }}{{ $safe = printf "r%s" $safe }}{{ end -}}
{{- if and (eq $safe .release) (le (add (len $safe) (len .suffix)) (int $limit)) -}}
{{- printf "%s%s" $safe .suffix -}}
{{- else -}}
{{- printf "%s-%s%s" ($safe | trunc (int (sub $limit (add 9 (len .suffix)))) | trimSuffix "-") (.release | sha256sum | trunc 8) .suffix -}}
{{- end -}}
{{- end }}

{{/* Name of an object of this release. Takes {root, suffix}. */}}
{{- define "postgresql.name" -}}
{{ include "postgresql.safe" (dict "release" .root.Release.Name "suffix" .suffix) }}
{{- end }}

{{/* At most 52 characters: a StatefulSet's pods carry its name and a hash of ten in a label, which takes no more than 63. */}}
{{- define "postgresql.fullname" -}}
{{ include "postgresql.safe" (dict "release" .Release.Name "suffix" "" "limit" 52) }}
{{- end }}

{{- define "postgresql.secretName" -}}
{{ include "postgresql.name" (dict "root" . "suffix" "-superuser") }}
{{- end }}

{{- define "postgresql.tlsSecretName" -}}
{{ .Values.tls.existingSecret | default (include "postgresql.name" (dict "root" . "suffix" "-tls")) }}
{{- end }}

{{- define "postgresql.setUpName" -}}
{{ include "postgresql.name" (dict "root" . "suffix" "-set-up") }}
{{- end }}

{{/* The labels that select the pods: immutable, so nothing that changes with a version belongs here. */}}
{{- define "postgresql.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{/* Labels of the pod that makes roles and databases: another component, so that neither Service nor StatefulSet takes it for a server. */}}
{{- define "postgresql.setUpLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: set-up
{{- end }}

{{- define "postgresql.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "postgresql.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: k8s-deployment
{{- end }}

{{/* Of kind cloudnative-pg: the Cluster, whose name is at most 50 characters. The name without a suffix is that of the Service. */}}
{{- define "postgresql.clusterName" -}}
{{ include "postgresql.safe" (dict "release" .Release.Name "suffix" "-cluster" "limit" 50) }}
{{- end }}

{{- define "postgresql.clusterSecretName" -}}
{{ include "postgresql.name" (dict "root" . "suffix" "-cluster-superuser") }}
{{- end }}

{{/* What the operator puts on each pod of the Cluster. */}}
{{- define "postgresql.clusterLabels" -}}
cnpg.io/cluster: {{ include "postgresql.clusterName" . }}
{{- end }}

{{/* The labels of the servers, whoever makes them. */}}
{{- define "postgresql.serverLabels" -}}
{{- if eq .Values.kind "cloudnative-pg" }}{{ include "postgresql.clusterLabels" . }}{{ else }}{{ include "postgresql.selectorLabels" . }}{{ end -}}
{{- end }}

{{/* Pods of a namespace. Takes {namespace, podLabels}. */}}
{{- define "postgresql.peer" -}}
namespaceSelector:
  matchLabels:
    kubernetes.io/metadata.name: {{ .namespace }}
podSelector:
  matchLabels:
    {{- toYaml .podLabels | nindent 4 }}
{{- end }}

{{/* An image by its tag, and by its digest where one is given: then no other content can come under the tag. */}}
{{- define "postgresql.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{/* A parameter as text. helm keeps numbers as floats, and would print a large one with an exponent. */}}
{{- define "postgresql.parameter" -}}
{{ if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* What the Job is to make of the server, as JSON: applications and issuers, those that were set to null left out. */}}
{{- define "postgresql.roles" -}}
{{- $roles := dict -}}
{{- range $kind := list "applications" "issuers" -}}
{{- $kept := dict -}}
{{- range $name, $role := get $.Values $kind }}{{ if $role }}{{ $_ := set $kept $name $role }}{{ end }}{{ end -}}
{{- $_ := set $roles $kind $kept -}}
{{- end -}}
{{- $roles | toJson -}}
{{- end }}
