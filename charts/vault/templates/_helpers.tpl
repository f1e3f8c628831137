{{/*
Object name from a release and a suffix: a valid Service name of at most 63 characters (or `limit`). If the release's name must be
shortened or changed, a hash keeps it unique. Takes {release, suffix, limit}.
*/}}
{{- define "vault.safe" -}}
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
{{- define "vault.name" -}}
{{ include "vault.safe" (dict "release" .root.Release.Name "suffix" .suffix) }}
{{- end }}

{{/* At most 52 characters: a StatefulSet's pods carry its name plus ten characters in a label, which is limited to 63. */}}
{{- define "vault.fullname" -}}
{{ include "vault.safe" (dict "release" .Release.Name "suffix" "" "limit" 52) }}
{{- end }}

{{/* Name of a cluster-scoped object, unique across namespaces. Takes {root, suffix}. */}}
{{- define "vault.clusterName" -}}
{{ include "vault.safe" (dict "release" (printf "%s-%s" .root.Release.Namespace .root.Release.Name) "suffix" .suffix) }}
{{- end }}

{{/* Name of the headless Service. */}}
{{- define "vault.internal" -}}
{{ include "vault.name" (dict "root" . "suffix" "-internal") }}
{{- end }}

{{- define "vault.configuration" -}}
{{ tpl (.Files.Get "files/vault.hcl") . }}
{{- end }}

{{/* Selector labels: immutable, so nothing that changes with a version belongs here. */}}
{{- define "vault.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "vault.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "vault.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: k8s-deployment
{{- end }}

{{/* Image reference: repository, tag and, if set, digest. */}}
{{- define "vault.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
