ui            = false
disable_mlock = true
enable_unauthenticated_access = ["generate-root"]
log_level     = "{{ .Values.logLevel }}"

listener "tcp" {
  address         = "[::]:8200"
  cluster_address = "[::]:8201"
  tls_cert_file   = "/vault/tls/tls.crt"
  tls_key_file    = "/vault/tls/tls.key"
}

storage "raft" {
  path = "/vault/data"
{{- if gt (int .Values.replicas) 1 }}
{{- range until (int .Values.replicas) }}

  retry_join {
    leader_api_addr     = "https://{{ include "vault.fullname" $ }}-{{ . }}.{{ include "vault.internal" $ }}:8200"
    leader_ca_cert_file = "/vault/tls/ca.crt"
  }
{{- end }}
{{- end }}
}
{{- if gt (int .Values.replicas) 1 }}

service_registration "kubernetes" {
  namespace = "{{ .Release.Namespace }}"
}
{{- end }}
