# The operator encrypts and decrypts its client cache; it can neither read nor change the key.
path "transit/encrypt/vso-client-cache" {
  capabilities = ["create", "update"]
}

path "transit/decrypt/vso-client-cache" {
  capabilities = ["create", "update"]
}
