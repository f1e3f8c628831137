{{/* Labels of every object. */}}
{{- define "devops.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: k8s-deployment
{{- end }}

{{/* The pods that a rule is about: those with its labels, or all of the namespace. */}}
{{- define "devops.podSelector" -}}
{{- if .pods -}}
podSelector:
  matchLabels:
    {{- toYaml .pods | nindent 4 }}
{{- else -}}
podSelector: {}
{{- end }}
{{- end }}

{{/* One end of a rule: pods of a namespace, by its name and their labels. */}}
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

{{- define "devops.ports" -}}
ports:
  {{- range . }}
  - {protocol: TCP, port: {{ . }}}
  {{- end }}
{{- end }}

{{/*
Rights of a team in a namespace. Looking at everything but Secrets, and what cannot show one: no exec, no port-forward (a
backend shows its environment to whoever calls it directly), nothing that makes or changes a pod, since a pod of one's own
could mount every Secret of the namespace, and no tokens of ServiceAccounts.
*/}}
{{- define "devops.operate" -}}
- apiGroups: [""]
  resources: [configmaps, endpoints, events, limitranges, persistentvolumeclaims, pods, pods/log, resourcequotas, serviceaccounts, services]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [controllerrevisions, daemonsets, deployments, replicasets, statefulsets]
  verbs: [get, list, watch]
- apiGroups: [autoscaling, batch, discovery.k8s.io, events.k8s.io, gateway.networking.k8s.io, keda.sh, metrics.k8s.io, networking.k8s.io, policy, postgresql.cnpg.io, secrets.hashicorp.com, traefik.io]
  resources: ["*"]
  verbs: [get, list, watch]
# instead of a restart, which is a change of the pod's template: its controller makes a new one
- apiGroups: [""]
  resources: [pods]
  verbs: [delete]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [get, patch, update]
{{- end }}

{{/* Rights of who installs releases: what the charts of applications are made of, helm's own Secrets included. */}}
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
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [create, delete, patch, update]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [create, delete, patch, update]
- apiGroups: [batch]
  resources: [cronjobs, jobs]
  verbs: [create, delete, patch, update]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes, referencegrants]
  verbs: [create, delete, patch, update]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [create, delete, patch, update]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [create, delete, patch, update]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [create, delete, patch, update]
- apiGroups: [postgresql.cnpg.io]
  resources: [clusters, scheduledbackups]
  verbs: [create, delete, patch, update]
- apiGroups: [secrets.hashicorp.com]
  resources: [vaultauths, vaultconnections, vaultdynamicsecrets, vaultstaticsecrets]
  verbs: [create, delete, patch, update]
- apiGroups: [traefik.io]
  resources: [middlewares]
  verbs: [create, delete, patch, update]
{{- end }}
