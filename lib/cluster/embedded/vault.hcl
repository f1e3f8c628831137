# The real Vault server behind the simulated pod. ${...} is filled in when the cluster is created.
ui            = false
disable_mlock = true
enable_unauthenticated_access = ["generate-root"]
api_addr      = "https://127.0.0.1:${port}"
cluster_addr  = "https://127.0.0.1:${clusterPort}"

# raft, as in pods: it has snapshots.
storage "raft" {
  path                   = "${data}"
  # Elects itself within a second or two after a start.
  performance_multiplier = 1
}

listener "tcp" {
  address         = "127.0.0.1:${port}"
  cluster_address = "127.0.0.1:${clusterPort}"
  tls_cert_file   = "${certificate}"
  tls_key_file    = "${key}"
}
