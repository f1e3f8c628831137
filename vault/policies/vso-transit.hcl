# The operator encrypts and decrypts its client cache; it can neither read nor change the key.
path "transit/encrypt/vso-client-cache" {
  capabilities = ["create", "update"]
}

path "transit/decrypt/vso-client-cache" {
  capabilities = ["create", "update"]
}

# What the operator does with its own token.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
