ui            = false
disable_mlock = true
log_level     = "{{ .Values.logLevel }}"

listener "tcp" {
  address         = "[::]:8200"
  cluster_address = "127.0.0.1:8201"
  tls_disable     = true
}

storage "raft" {
  path = "/vault/data"
}
