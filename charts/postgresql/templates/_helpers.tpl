{{/*
Object name from a release and a suffix: a valid Service name of at most 63 characters (or `limit`). If the release's name must be
shortened or changed, a hash keeps it unique. Takes {release, suffix, limit}.
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

{{/* At most 52 characters: a StatefulSet's pods carry its name plus ten characters in a label, which is limited to 63. */}}
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

{{/* Selector labels: immutable, so nothing that changes with a version belongs here. */}}
{{- define "postgresql.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{/* Labels of the pod that creates roles and databases: another component, so that neither Service nor StatefulSet selects it. */}}
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

{{/* Name of the CloudNativePG Cluster, at most 50 characters. The name without a suffix is that of the Service. */}}
{{- define "postgresql.clusterName" -}}
{{ include "postgresql.safe" (dict "release" .Release.Name "suffix" "-cluster" "limit" 50) }}
{{- end }}

{{/* Name of the ObjectStore; empty without one. */}}
{{- define "postgresql.objectStore" -}}
{{- with .Values.cluster.backup.objectStore }}
{{- .name | default (ternary (include "postgresql.name" (dict "root" $ "suffix" "-backup")) "" (gt (len .configuration) 0)) }}
{{- end }}
{{- end }}

{{- define "postgresql.clusterSecretName" -}}
{{ include "postgresql.name" (dict "root" . "suffix" "-cluster-superuser") }}
{{- end }}

{{/* Labels that the operator sets on each pod of the Cluster. */}}
{{- define "postgresql.clusterLabels" -}}
cnpg.io/cluster: {{ include "postgresql.clusterName" . }}
{{- end }}

{{/* Labels of the servers, for both kinds. */}}
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

{{/* Which nodes the pods run on, and who may pull their images. */}}
{{- define "postgresql.placement" -}}
{{- range $key := list "imagePullSecrets" "nodeSelector" "tolerations" }}
{{- with get $.Values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Image reference: repository, tag and, if set, digest. */}}
{{- define "postgresql.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{/* Server settings as YAML, with max_connections for all applications. */}}
{{- define "postgresql.settings" -}}
{{- $applications := len (include "postgresql.roles" . | fromJson).applications -}}
{{- $platform := 20 -}}
{{- $needed := add $platform (mul $applications .Values.connectionsPerApplication) -}}
{{- $given := .Values.settings.max_connections -}}
{{- if and $given (lt (int64 $given) $needed) -}}
{{- fail (printf "settings.max_connections is %d, but %d applications with %d sessions each need %d with the platform's. Raise it, and resources.limits.memory by about 4Mi a session; or lower connectionsPerApplication, with smaller pools or a pooler" (int64 $given) $applications (int64 .Values.connectionsPerApplication) $needed) -}}
{{- end -}}
{{- merge (dict) .Values.settings (dict "max_connections" (div (add 99 $needed) 100 | mul 100 | toString)) | toYaml -}}
{{- end }}

{{/* A parameter as text. helm holds numbers as floats and would print a large one with an exponent. */}}
{{- define "postgresql.parameter" -}}
{{ if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* Desired roles and databases for the Job, as JSON: applications and issuers that are not null. */}}
{{- define "postgresql.roles" -}}
{{- $roles := dict -}}
{{- range $kind := list "applications" "issuers" -}}
{{- $kept := dict -}}
{{- range $name, $role := get $.Values $kind }}{{ if $role }}{{ $_ := set $kept $name $role }}{{ end }}{{ end -}}
{{- $_ := set $roles $kind $kept -}}
{{- end -}}
{{- $roles | toJson -}}
{{- end }}
