{{/*
Name for a release and a suffix: at most 63 characters (or `limit`) and a valid Service name. A release that has to be
shortened or changed gets a hash, so that two releases never meet. Takes {release, suffix, limit}.
*/}}
{{- define "backend.safe" -}}
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
{{- define "backend.name" -}}
{{ include "backend.safe" (dict "release" .root.Release.Name "suffix" .suffix) }}
{{- end }}

{{- define "backend.fullname" -}}
{{ include "backend.name" (dict "root" . "suffix" "") }}
{{- end }}

{{- define "backend.secretName" -}}
{{ .Values.secrets.name | default (include "backend.name" (dict "root" . "suffix" "-database")) }}
{{- end }}

{{- define "backend.authorityName" -}}
{{ include "backend.name" (dict "root" . "suffix" "-database-authority") }}
{{- end }}

{{/* Where the pods and the check find it. */}}
{{- define "backend.authorityFolder" -}}
/etc/database
{{- end }}

{{- define "backend.verificationName" -}}
{{ include "backend.name" (dict "root" . "suffix" "-verification") }}
{{- end }}

{{/* The labels that select the pods: immutable, so nothing that changes with a version belongs here. */}}
{{- define "backend.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "backend.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "backend.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: k8s-deployment
{{- end }}

{{/* The check's own labels: another component, so that no Service, autoscaler, budget or Deployment counts its pods. */}}
{{- define "backend.verificationLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: verification
{{- end }}

{{/* At least this many pods: what a disruption budget may count on. */}}
{{- define "backend.minimum" -}}
{{ ternary .Values.autoscaling.minReplicas .Values.replicas .Values.autoscaling.enabled }}
{{- end }}

{{/* At most this many pods: never fewer than the minimum. */}}
{{- define "backend.maximum" -}}
{{ max .Values.autoscaling.minReplicas .Values.autoscaling.maxReplicas }}
{{- end }}

{{/* How fast an autoscaler changes the number of pods. */}}
{{- define "backend.behavior" -}}
{{- range $direction, $pace := .Values.autoscaling.behavior }}
{{ $direction }}:
  stabilizationWindowSeconds: {{ $pace.stabilizationSeconds }}
  policies:
    - {type: Pods, value: {{ $pace.pods }}, periodSeconds: {{ $pace.periodSeconds }}}
{{- end }}
{{- end }}

{{/* An image by its tag, and by its digest where one is given: then no other content can come under the tag. */}}
{{- define "backend.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
