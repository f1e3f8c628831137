ui            = false
disable_mlock = true
log_level     = "{{ .Values.logLevel }}"

listener "tcp" {
  address         = "[::]:8200"
  cluster_address = "127.0.0.1:8201"
  tls_cert_file   = "/vault/tls/tls.crt"
  tls_key_file    = "/vault/tls/tls.key"
}

storage "raft" {
  path = "/vault/data"
}
