{{/*
Object name from a release and a suffix: a valid Service name of at most 63 characters (or `limit`). If the release's name must be
shortened or changed, a hash keeps it unique. Takes {release, suffix, limit}.
*/}}
{{- define "frontend.safe" -}}
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
{{- define "frontend.name" -}}
{{ include "frontend.safe" (dict "release" .root.Release.Name "suffix" .suffix) }}
{{- end }}

{{- define "frontend.fullname" -}}
{{ include "frontend.name" (dict "root" . "suffix" "") }}
{{- end }}

{{/* Selector labels: immutable, so nothing that changes with a version belongs here. */}}
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

{{/* Non-empty if the routes use TLS. */}}
{{- define "frontend.tls" -}}
{{- if eq (toString .Values.ingress.tls.enabled) "true" }}yes{{ end -}}
{{- end }}

{{/* Non-empty if cert-manager creates the certificate for the Ingresses, and solves its challenges in their namespace. */}}
{{- define "frontend.requestsCertificate" -}}
{{- $ingress := .Values.ingress -}}
{{- if and (include "frontend.tls" .) $ingress.tls.clusterIssuer (eq $ingress.kind "ingress") (ne $ingress.controller "none") }}yes{{ end -}}
{{- end }}

{{/* Name of the certificate's Secret. */}}
{{- define "frontend.tlsSecret" -}}
{{ .Values.ingress.tls.secretName | default (include "frontend.name" (dict "root" . "suffix" "-tls")) }}
{{- end }}

{{/* Traefik middlewares of a route, as its annotation names them: redirect, ranges, mark. Takes {root, route}. */}}
{{- define "frontend.middlewares" -}}
{{- $of := printf "%s-%%s@kubernetescrd" .root.Release.Namespace -}}
{{- if include "frontend.tls" .root -}}
{{- printf $of (include "frontend.name" (dict "root" .root "suffix" "-https")) }},
{{- end -}}
{{- printf $of (include "frontend.name" (dict "root" .root "suffix" (printf "-%s" .route))) }},
{{- printf $of (include "frontend.name" (dict "root" .root "suffix" (printf "-%s-mark" .route))) -}}
{{- end }}

{{/* A listener of the Gateway. Takes {root, listener}. */}}
{{- define "frontend.parent" -}}
{{- $gateway := .root.Values.ingress.gateway -}}
{{- $namespace := $gateway.namespace | default (include "frontend.controllerNamespace" .root) -}}
{{ dict "name" $gateway.name "namespace" $namespace "sectionName" .listener | toJson }}
{{- end }}

{{/*
Fails for settings that the controller would silently ignore, which would leave a route open to everybody. The schema refuses
open ranges.
*/}}
{{- define "frontend.checkRoutes" -}}
{{- $ingress := .Values.ingress -}}
{{- if and (eq $ingress.kind "httproute") (eq $ingress.controller "nginx") -}}
{{- fail "ingress.kind: httproute needs ingress.controller: traefik. The Gateway API has no source ranges; only Traefik has a filter for them, and with any other controller /admin would be open" -}}
{{- end -}}
{{- if and (gt (int $ingress.forwardedDepth) 0) (eq $ingress.controller "nginx") -}}
{{- fail "ingress.forwardedDepth has no effect with ingress.controller: nginx. Set use-forwarded-headers and proxy-real-ip-cidr in the controller's own ConfigMap, and leave it 0 here" -}}
{{- end -}}
{{- end }}

{{/* Header in which a Traefik route passes its name to the front. */}}
{{- define "frontend.routeHeader" -}}
X-Ingress-Route
{{- end }}

{{/* Regular expression for the paths of the restricted routes. */}}
{{- define "frontend.guardedPaths" -}}
{{- $paths := list -}}
{{- range include "frontend.routes" . | fromYaml }}{{ if ne .path "/" }}{{ $paths = append $paths .path }}{{ end }}{{ end -}}
({{ join "|" $paths }})
{{- end }}

{{/* Namespace of the ingress controller's pods; empty without a controller. */}}
{{- define "frontend.controllerNamespace" -}}
{{- if ne .Values.ingress.controller "none" -}}
{{ .Values.ingress.controllerNamespace | default (get (dict "nginx" "ingress-nginx" "traefik" "ingress") .Values.ingress.controller) }}
{{- end -}}
{{- end }}

{{/* The ingress controller's pods as the only callers. */}}
{{- define "frontend.fromController" -}}
from:
  - namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: {{ include "frontend.controllerNamespace" . }}
    podSelector:
      matchLabels:
        {{- include "frontend.controllerLabels" . | nindent 8 }}
{{- end }}

{{/* Labels of the ingress controller's pods; default: those of its chart. */}}
{{- define "frontend.controllerLabels" -}}
{{- if .Values.ingress.controllerLabels -}}
{{ toYaml .Values.ingress.controllerLabels }}
{{- else -}}
app.kubernetes.io/name: {{ get (dict "nginx" "ingress-nginx" "traefik" "traefik") .Values.ingress.controller }}
{{- end -}}
{{- end }}

{{/* The backend's fully qualified name: nginx's resolver uses no search domains. */}}
{{- define "frontend.backendHost" -}}
{{ include "frontend.safe" (dict "release" .Values.backend.release "suffix" "") }}.{{ .Values.backend.namespace }}.svc.{{ .Values.cluster.domain }}
{{- end }}

{{/* Start of what nginx listens on: without an address it means IPv4 only. */}}
{{- define "frontend.anyAddress" -}}
{{- if contains ":" .Values.cluster.podCidr }}[::]:{{ end -}}
{{- end }}

{{- define "frontend.configuration" -}}
{{ tpl (.Files.Get "files/nginx.conf") . }}
{{- end }}

{{/* Which nodes the pods run on, and who may pull their images. */}}
{{- define "frontend.placement" -}}
{{- range $key := list "imagePullSecrets" "nodeSelector" "tolerations" }}
{{- with get $.Values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* A probe. A handler of its own replaces the default httpGet. */}}
{{- define "frontend.probe" -}}
{{- if or .exec .tcpSocket .grpc }}{{ omit . "httpGet" | toYaml }}{{ else }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* Image reference: repository, tag and, if set, digest. */}}
{{- define "frontend.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
