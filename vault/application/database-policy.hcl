
# A login of its database. To prolong or end one takes its lease's name, which only its owner knows.
path "database/creds/${backend}" {
  capabilities = ["read"]
}

path "sys/leases/renew" {
  capabilities = ["update"]
}

path "sys/leases/revoke" {
  capabilities = ["update"]
}
