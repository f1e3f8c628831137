{{- define "stand-in.name" -}}
{{ .Values.workload.name | default .Release.Name }}
{{- end }}

{{- define "stand-in.serviceAccount" -}}
{{ .Values.serviceAccount | default .Release.Name }}
{{- end }}

{{/* The labels that select the pods: immutable, so nothing that changes with a version belongs here. */}}
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
