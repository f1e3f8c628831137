# Of the application ${application}; written by init-vault, which takes it away again with the application's entry.

# Its own parameters and nothing else.
path "kv/data/${application}/*" {
  capabilities = ["read"]
}

# The operator holds the token for it: looks whether it still serves, prolongs it, and ends it.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
