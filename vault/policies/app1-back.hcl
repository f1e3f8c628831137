# app1's backend reads its own parameters and nothing else.
path "kv/data/app1/database" {
  capabilities = ["read"]
}
