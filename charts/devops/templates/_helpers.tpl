{{/* Labels of every object. */}}
{{- define "devops.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: k8s-deployment
{{- end }}

{{/* Pods that a rule selects: those with its labels, or all of the namespace. */}}
{{- define "devops.podSelector" -}}
{{- if .pods -}}
podSelector:
  matchLabels:
    {{- toYaml .pods | nindent 4 }}
{{- else -}}
podSelector: {}
{{- end }}
{{- end }}

{{/* Peer of a rule: a namespace and labels of its pods. */}}
{{- define "devops.peer" -}}
namespaceSelector:
  matchLabels:
    kubernetes.io/metadata.name: {{ .namespace }}
{{- with .pods }}
podSelector:
  matchLabels:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{/* Image reference: repository, tag and, if set, digest. */}}
{{- define "devops.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{/* Pod that has the volume of the backups. Takes {root, command}. */}}
{{- define "devops.backupPod" -}}
{{- $backup := .root.Values.vaultBackup -}}
metadata:
  labels:
    app.kubernetes.io/name: vault-backup
    app.kubernetes.io/instance: {{ .root.Release.Name }}
spec:
  restartPolicy: Never
  serviceAccountName: vault-backup
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext:
    # the image's user and group vault
    runAsNonRoot: true
    runAsUser: 100
    runAsGroup: 1000
    fsGroup: 1000
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: snapshot
      image: {{ include "devops.image" $backup.image | quote }}
      imagePullPolicy: {{ $backup.image.pullPolicy }}
      # bypasses the image's entrypoint, which needs root to change owners
      command: {{ .command | toJson }}
      env:
        - name: VAULT_ADDR
          value: {{ $backup.address | quote }}
        - name: VAULT_CACERT
          value: /run/vault-tls/ca.crt
        - name: KEEP
          value: {{ $backup.keep | quote }}
        # its vault would write to the home
        - name: HOME
          value: /tmp
      terminationMessagePolicy: FallbackToLogsOnError
      resources:
        requests: {cpu: 50m, memory: 64Mi, ephemeral-storage: 16Mi}
        limits: {cpu: 500m, memory: 256Mi, ephemeral-storage: 128Mi}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - {name: script, mountPath: /backup, readOnly: true}
        - {name: login, mountPath: /run/vault-login, readOnly: true}
        - {name: tls, mountPath: /run/vault-tls, readOnly: true}
        - {name: backups, mountPath: /backups}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: script
      configMap:
        name: vault-backup
    - name: login
      projected:
        sources:
          - serviceAccountToken: {path: token, audience: vault, expirationSeconds: 600}
    - name: tls
      secret:
        secretName: vault-tls
        items: [{key: ca.crt, path: ca.crt}]
    - name: backups
      persistentVolumeClaim:
        claimName: {{ $backup.volume.existingClaim | default "vault-backup" }}
    - name: tmp
      emptyDir: {sizeLimit: 16Mi}
{{- end }}

{{- define "devops.ports" -}}
ports:
  {{- range . }}
  - {protocol: TCP, port: {{ . }}}
  {{- end }}
{{- end }}

{{/*
Rules of a team that operates a namespace: read everything except Secrets, and nothing that could reveal one. So no exec, no
port-forward (a backend shows its environment to direct callers), no ServiceAccount tokens, and no creating or changing of pods,
since a new pod could mount every Secret of the namespace.
*/}}
{{- define "devops.operate" -}}
- apiGroups: [""]
  resources: [configmaps, endpoints, events, limitranges, persistentvolumeclaims, pods, pods/log, resourcequotas, serviceaccounts, services]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [controllerrevisions, daemonsets, deployments, replicasets, statefulsets]
  verbs: [get, list, watch]
- apiGroups: [autoscaling, barmancloud.cnpg.io, batch, discovery.k8s.io, events.k8s.io, gateway.networking.k8s.io, keda.sh, metrics.k8s.io, monitoring.coreos.com, networking.k8s.io, policy, postgresql.cnpg.io, secrets.hashicorp.com, traefik.io]
  resources: ["*"]
  verbs: [get, list, watch]
# deleting a pod instead of "rollout restart", which changes the pod template; the controller recreates the pod
- apiGroups: [""]
  resources: [pods]
  verbs: [delete]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [get, patch, update]
{{- end }}

{{/* Rules to install releases: every kind in the applications' charts, and helm's Secrets. */}}
{{- define "devops.deploy" -}}
- apiGroups: [""]
  resources: [configmaps, persistentvolumeclaims, secrets, serviceaccounts, services]
  verbs: [create, delete, patch, update]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods/exec, pods/portforward]
  verbs: [create, get]
{{- range $group, $kinds := dict
  "apps" "deployments, statefulsets"
  "autoscaling" "horizontalpodautoscalers"
  "barmancloud.cnpg.io" "objectstores"
  "batch" "cronjobs, jobs"
  "gateway.networking.k8s.io" "httproutes, referencegrants"
  "keda.sh" "scaledobjects"
  "networking.k8s.io" "ingresses, networkpolicies"
  "policy" "poddisruptionbudgets"
  "postgresql.cnpg.io" "clusters, scheduledbackups"
  "secrets.hashicorp.com" "vaultauths, vaultconnections, vaultdynamicsecrets, vaultstaticsecrets"
  "traefik.io" "middlewares"
}}
- apiGroups: [{{ $group }}]
  resources: [{{ $kinds }}]
  verbs: [create, delete, patch, update]
{{- end }}
{{- end }}

{{/* A file with PromQL, about our namespaces. Takes {root, file}. */}}
{{- define "devops.queries" -}}
{{- $namespaces := list -}}
{{- range $name, $namespace := .root.Values.namespaces }}{{ if $namespace }}{{ $namespaces = append $namespaces $name }}{{ end }}{{ end -}}
{{- .root.Files.Get (printf "files/%s" .file) | replace "NAMESPACES" (join "|" $namespaces) -}}
{{- end }}

{{/* Grafana's model of the dashboard: three panels in a row of 24 columns. */}}
{{- define "devops.dashboard" -}}
uid: k8s-deployment
title: k8s-deployment
timezone: browser
refresh: 1m
schemaVersion: 39
time: {from: now-6h, to: now}
templating:
  list: [{name: source, label: Prometheus, type: datasource, query: prometheus}]
panels:
  {{- range $index, $panel := include "devops.queries" (dict "root" . "file" "dashboard.yaml") | fromYamlArray }}
  - id: {{ add1 $index }}
    type: timeseries
    title: {{ $panel.title | toJson }}
    datasource: &source {type: prometheus, uid: "${source}"}
    gridPos: {x: {{ mul 8 (mod $index 3) }}, y: {{ mul 8 (div $index 3) }}, w: 8, h: 8}
    fieldConfig: {defaults: {unit: {{ $panel.unit }}, min: 0}}
    targets: [{refId: A, datasource: *source, expr: {{ $panel.expr | toJson }}, legendFormat: {{ $panel.legend | toJson }}}]
  {{- end }}
{{- end }}
