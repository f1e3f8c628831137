{{/*
Object name from a release and a suffix: a valid Service name of at most 63 characters (or `limit`). If the release's name must be
shortened or changed, a hash keeps it unique. Takes {release, suffix, limit}.
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

{{/* Path of the database authority in the pods and the check. */}}
{{- define "backend.authorityFolder" -}}
/etc/database
{{- end }}

{{- define "backend.verificationName" -}}
{{ include "backend.name" (dict "root" . "suffix" "-verification") }}
{{- end }}

{{/* Selector labels: immutable, so nothing that changes with a version belongs here. */}}
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

{{/* Labels of the check: another component, so that no Service, autoscaler, budget or Deployment counts its pods. */}}
{{- define "backend.verificationLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: verification
{{- end }}

{{/* Connections of backend and check: to the database, and to the name server for its address. */}}
{{- define "backend.toDatabase" -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .Values.database.namespace }}
      podSelector:
        matchLabels:
          {{- toYaml .Values.database.podLabels | nindent 10 }}
  ports:
    - {protocol: TCP, port: postgresql}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .Values.dns.namespace }}
      podSelector:
        matchLabels:
          {{- toYaml .Values.dns.podLabels | nindent 10 }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{/* Minimum number of pods, for the disruption budget. */}}
{{- define "backend.minimum" -}}
{{ ternary .Values.autoscaling.minReplicas .Values.replicas .Values.autoscaling.enabled }}
{{- end }}

{{/* Maximum number of pods, never below the minimum. */}}
{{- define "backend.maximum" -}}
{{ max .Values.autoscaling.minReplicas .Values.autoscaling.maxReplicas }}
{{- end }}

{{/* Scaling behavior of the autoscaler. */}}
{{- define "backend.behavior" -}}
{{- range $direction, $pace := .Values.autoscaling.behavior }}
{{ $direction }}:
  stabilizationWindowSeconds: {{ $pace.stabilizationSeconds }}
  policies:
    - {type: Pods, value: {{ $pace.pods }}, periodSeconds: {{ $pace.periodSeconds }}}
{{- end }}
{{- end }}

{{/* Which nodes the pods run on, and who may pull their images. */}}
{{- define "backend.placement" -}}
{{- range $key := list "imagePullSecrets" "nodeSelector" "tolerations" }}
{{- with get $.Values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* A probe. A handler of its own replaces the default httpGet. */}}
{{- define "backend.probe" -}}
{{- if or .exec .tcpSocket .grpc }}{{ omit . "httpGet" | toYaml }}{{ else }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* Image reference: repository, tag and, if set, digest. */}}
{{- define "backend.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
