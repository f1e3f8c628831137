# Backups read a snapshot of the whole storage, which only Vault's unseal key opens.
path "sys/storage/raft/snapshot" {
  capabilities = ["read"]
}
