# The token of init-vault, status and the shell of `env`: what it takes to bring Vault to its desired state. It makes no
# tokens and gets no login of a database; to change this policy, init-vault makes a root token and revokes it.
# Who may write policies and roles can give an account of the cluster more than is here: keep the keys file to yourself.

# --- its own token
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}

# --- the audit log
path "sys/audit" {
  capabilities = ["read", "sudo"]
}

path "sys/audit/file" {
  capabilities = ["create", "update", "delete", "sudo"]
}

# --- policies
path "sys/policies/acl" {
  capabilities = ["list"]
}

path "sys/policies/acl/+" {
  capabilities = ["create", "read", "update", "delete"]
}

path "sys/policies/acl/operations" {
  capabilities = ["read"]
}

# --- secrets engines; none can be taken away
path "sys/mounts" {
  capabilities = ["read"]
}

path "sys/mounts/+" {
  capabilities = ["create", "update"]
}

path "sys/mounts/+/tune" {
  capabilities = ["create", "update"]
}

# --- ways to log in
path "sys/auth" {
  capabilities = ["read"]
}

path "sys/auth/kubernetes" {
  capabilities = ["create", "update", "sudo"]
}

path "sys/auth/kubernetes/tune" {
  capabilities = ["create", "update", "sudo"]
}

path "auth/kubernetes/config" {
  capabilities = ["create", "read", "update"]
}

path "auth/kubernetes/role" {
  capabilities = ["list"]
}

path "auth/kubernetes/role/+" {
  capabilities = ["create", "read", "update", "delete"]
}

# --- parameters of the applications
path "kv/data/*" {
  capabilities = ["create", "read", "update", "patch"]
}

path "kv/metadata/*" {
  capabilities = ["read", "list"]
}

# --- keys of the operator's cache; not what is encrypted with them
path "transit/keys/+" {
  capabilities = ["create", "read", "update"]
}

# --- logins of the database: how they are made, and the end of them all; not the logins themselves
path "database/config/+" {
  capabilities = ["create", "read", "update"]
}

path "database/roles/+" {
  capabilities = ["create", "read", "update", "delete"]
}

path "sys/leases/revoke-prefix/database/creds/+" {
  capabilities = ["update", "sudo"]
}

# --- before the pod of the active replica is replaced
path "sys/step-down" {
  capabilities = ["update", "sudo"]
}

# --- in an emergency
path "sys/seal" {
  capabilities = ["update", "sudo"]
}
