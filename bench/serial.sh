#!/usr/bin/env bash
# The steps of create-environment on the embedded cluster, one after another: a script without a task runner.
#
#   bench/serial.sh <environment> <cluster name> <first port>
#
# Runs in the project's folder with the tools on PATH, and writes only below .state/<environment>. Its processes keep running; the
# caller ends them.
set -euo pipefail
umask 077

environment=$1
cluster=$2
port=$3
state="$PWD/.state/$environment"

embedded=lib/cluster/embedded
context="kwok-$cluster"
export KUBECONFIG="$state/kubeconfig" KUBECACHEDIR="$state/kube-cache" KWOK_WORKDIR="$state/kwok" GNUPGHOME="$state/gnupg"
export HELM_CACHE_HOME="$state/helm/cache" HELM_CONFIG_HOME="$state/helm/config" HELM_DATA_HOME="$state/helm/data"
export HELMFILE_CACHE_HOME="$state/helm/helmfile" NO_COLOR=1

api_port=$port etcd_port=$((port + 1)) peer_port=$((port + 2)) manager_port=$((port + 3)) scheduler_port=$((port + 4))
kwok_port=$((port + 5)) vault_port=$((port + 6)) vault_cluster_port=$((port + 7)) database_port=$((port + 8))
metrics_port=$((port + 9)) health_port=$((port + 10))

kubectl() { command kubectl --kubeconfig "$KUBECONFIG" --context "$context" "$@"; }

# wait_until <what> <command...>: polls every 0.2 s, for a minute at most.
wait_until() {
  local what=$1 deadline=$((SECONDS + 60))
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS > deadline)); then
      echo "error: $what was not ready after 60 s" >&2
      exit 1
    fi
    sleep 0.2
  done
}

# start <name> <command...>: in the background, in its own session, with its output in a log.
start() {
  local name=$1
  shift
  setsid "$@" </dev/null >"$state/logs/$name.log" 2>&1 &
  started+=($!)
}
started=()

# fill <file> <name>=<value>...: the file with each ${name} filled in.
fill() {
  local file=$1 pair script=()
  shift
  for pair in "$@"; do script+=(-e "s|\${${pair%%=*}}|${pair#*=}|g"); done
  sed "${script[@]}" "$file"
}

# A setting of the environment that the database and Vault get.
setting() { sed -n "/^database:/,/^[^ ]/ s/^  $1: *//p" environments/common.yaml; }
password() { sops decrypt --extract '["password"]' "environments/$environment/secrets/database.yaml"; }

step() { echo "== $*"; }

mkdir -p "$state/logs" "$GNUPGHOME"
trap 'gpgconf --homedir "$GNUPGHOME" --kill all' EXIT

step 'import the operational key'
gpg --batch --quiet --import sops/development-operational.asc

step 'cluster'
fill "$embedded/kwok.yaml" kubeApiserver="$api_port" etcd="$etcd_port" etcdPeer="$peer_port" \
  kubeControllerManager="$manager_port" kubeScheduler="$scheduler_port" kwokController="$kwok_port" \
  vault="$vault_port" postgresql="$database_port" >"$state/kwok.yaml"
kwokctl create cluster --name "$cluster" --runtime binary --config "$state/kwok.yaml" --kubeconfig "$KUBECONFIG" \
  --etcd-binary "$(command -v etcd)" \
  --kube-apiserver-binary "$(command -v kube-apiserver)" \
  --kube-controller-manager-binary "$(command -v kube-controller-manager)" \
  --kube-scheduler-binary "$(command -v kube-scheduler)" \
  --kwok-controller-binary "$(command -v kwok)"
wait_until 'the API server' kubectl get --raw /readyz

step 'nodes'
for number in 1 2 3; do
  fill "$embedded/node.yaml" name="$environment-$number" cpus=2 memoryMB=3072 kubernetesVersion=v1.31.0
  echo '---'
done >"$state/nodes.yaml"
kubectl apply --server-side --force-conflicts -f "$state/nodes.yaml" -f "$embedded/system.yaml"

step 'types of the Vault Secrets Operator'
operator=$(command -v vault-secrets-operator)
kubectl apply --server-side --force-conflicts -f "$(dirname "$operator")/crds"

step 'certificates'
certificates="$state/certificates"
mkdir -p "$certificates"
key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -pkeyopt ec_param_enc:named_curve -nodes -sha256)
openssl req -x509 -config lib/certificates/certificates.cnf -extensions authority "${key[@]}" -days 3650 \
  -subj "/O=k8s-deployment/CN=$environment local CA" -keyout "$certificates/ca.key" -out "$certificates/ca.crt"
certificate() {
  openssl req -new -config lib/certificates/certificates.cnf "${key[@]}" -subj "/CN=$1" \
    -keyout "$certificates/$1.key" -out "$certificates/$1.csr"
  { cat lib/certificates/certificates.cnf; echo "subjectAltName = $2"; } >"$certificates/$1.cnf"
  openssl x509 -req -in "$certificates/$1.csr" -CA "$certificates/ca.crt" -CAkey "$certificates/ca.key" -sha256 -days 90 \
    -extfile "$certificates/$1.cnf" -extensions server -out "$certificates/$1.crt" -set_serial "0x$(openssl rand -hex 16)"
}
certificate postgresql DNS:postgresql.database.svc.cluster.local,DNS:postgresql.database.svc,DNS:localhost,IP:127.0.0.1
certificate vault DNS:vault.vault.svc,DNS:localhost,IP:127.0.0.1

step 'Vault'
mkdir -p "$state/vault/data"
data="$state/vault/data"
fill "$embedded/vault.hcl" data="$data" storage=raft certificate="$certificates/vault.crt" \
  key="$certificates/vault.key" port="$vault_port" clusterPort="$vault_cluster_port" >"$state/vault/server.hcl"
export VAULT_ADDR="https://127.0.0.1:$vault_port" VAULT_CACERT="$certificates/ca.crt"
fill "$embedded/cluster.yaml" vault="$vault_port" postgresql="$database_port" auditLog="$state/logs/vault-audit.log" >"$state/cluster.yaml"
start vault vault server -config "$state/vault/server.hcl"
wait_until 'Vault' curl -fs --cacert "$VAULT_CACERT" "$VAULT_ADDR/v1/sys/seal-status"

step 'PostgreSQL'
# PostgreSQL refuses to run as root.
as_user=()
if [ "$(id -u)" = 0 ]; then as_user=(unshare --user --map-user=1000 --map-group=1000); fi
data="$state/postgresql/data"
mkdir -p "$state/postgresql"
password | "${as_user[@]}" initdb --pgdata "$data" --username "$(setting user)" --auth scram-sha-256 \
  --encoding UTF8 --locale C --no-sync --pwfile /dev/stdin >"$state/logs/initdb.log"
start postgresql "${as_user[@]}" postgres -D "$data" -p "$database_port" -c listen_addresses=127.0.0.1 \
  -c unix_socket_directories= -c logging_collector=off -c ssl=on -c ssl_min_protocol_version=TLSv1.2 \
  -c "ssl_cert_file=$certificates/postgresql.crt" -c "ssl_key_file=$certificates/postgresql.key" \
  -c "hba_file=$PWD/charts/postgresql/files/server/pg_hba.conf"
wait_until 'PostgreSQL' pg_isready --host 127.0.0.1 --port "$database_port"

step 'Vault Secrets Operator'
OPERATOR_NAMESPACE=vault OPERATOR_POD_NAME=vault-secrets-operator start vault-secrets-operator "$operator" \
  --kubeconfig="$KUBECONFIG" --leader-elect=false --client-cache-persistence-model=direct-encrypted \
  --metrics-bind-address="127.0.0.1:$metrics_port" --health-probe-bind-address="127.0.0.1:$health_port"
wait_until 'the Vault Secrets Operator' curl -fs "http://127.0.0.1:$health_port/readyz"

step 'runner of the check Jobs'
# Addresses of the API server and the database for it.
cat >"$state/embedded.json" <<JSON
{ "phase": "created", "kubernetesVersion": "v1.31.0", "ports": {
  "kubeApiserver": $api_port, "etcd": $etcd_port, "etcdPeer": $peer_port, "kubeControllerManager": $manager_port,
  "kubeScheduler": $scheduler_port, "kwokController": $kwok_port, "vault": $vault_port, "vaultCluster": $vault_cluster_port,
  "postgresql": $database_port, "operatorMetrics": $metrics_port, "operatorHealth": $health_port } }
JSON
start job-runner node --import tsx "$embedded/job-runner.ts" "$environment" "$state/"

step 'state of Vault'
keys="$state/vault/keys.json"
vault operator init -key-shares=1 -key-threshold=1 -format=json >"$keys"
sed -n '/"unseal_keys_b64"/ { n; s/[ ",]//g; p; }' "$keys" | vault write sys/unseal key=-
VAULT_TOKEN=$(sed -n 's/.*"root_token": "\(.*\)".*/\1/p' "$keys")
export VAULT_TOKEN
vault audit enable -path=file -description='Every request and answer' file file_path="$state/logs/vault-audit.log"
vault policy write operations vault/policies/operations.hcl
token=$(vault token create -orphan -no-default-policy -policy=operations -period=720h -field=token)
vault token revoke -self
VAULT_TOKEN=$token
vault policy write vso-transit vault/policies/vso-transit.hcl
fill_application() { cat "$@" | sed -e 's|${application}|app1|g' -e 's|${backend}|app1-back|g' -e 's|${database}|app1|g'; }
fill_application vault/application/policy.hcl vault/application/database-policy.hcl | vault policy write app1-back -
vault secrets enable -path=kv -version=2 -description='Parameters of the applications' kv
vault secrets enable -path=transit -description="Encryption of the operator's client cache" transit
vault secrets enable -path=database -description='Logins of the applications, each for one lease' database
vault write -f transit/keys/vso-client-cache type=aes256-gcm96
vault kv put -mount=kv app1/database DB_HOST="$(setting host)" DB_PORT="$(setting port)"
vault auth enable -path=kubernetes -description='ServiceAccounts of this cluster' kubernetes
kubectl -n kube-system create token vault-token-reviewer --duration 8760h |
  vault write auth/kubernetes/config kubernetes_host="https://127.0.0.1:$api_port" \
    kubernetes_ca_cert="@$KWOK_WORKDIR/clusters/$cluster/pki/ca.crt" disable_local_ca_jwt=true token_reviewer_jwt=-
vault write auth/kubernetes/role/vso-transit \
  bound_service_account_names=vault-operator-vault-secrets-operator-controller-manager \
  bound_service_account_namespaces=vault audience=vault token_policies=vso-transit token_no_default_policy=true \
  token_ttl=3600s
vault write auth/kubernetes/role/app1-back bound_service_account_names=app1-back \
  bound_service_account_namespaces=backend audience=vault token_policies=app1-back token_no_default_policy=true \
  token_ttl=3600s
statements() { fill_application "vault/application/$1" | sed '/^--/d'; }
vault write database/roles/app1-back db_name=postgresql default_ttl=1h max_ttl=24h \
  creation_statements="$(statements create-login.sql)" renew_statements="$(statements renew-login.sql)" \
  revocation_statements="$(statements revoke-login.sql)"

settings=(--state-values-file environments/common.yaml --state-values-file environments/embedded.yaml)
for file in environments/"$environment"/*.yaml; do settings+=(--state-values-file "$file"); done
settings+=(--state-values-file "$state/cluster.yaml" --state-values-set "environment=$environment")
# In the order of `needs`.
for release in devops metrics-server vault vault-operator reloader postgresql; do
  step "release $release"
  helmfile --quiet --kubeconfig "$KUBECONFIG" --kube-context "$context" "${settings[@]}" --skip-deps \
    --selector "name=$release" sync
done

step 'login of Vault'
sops decrypt --extract '["vaultPassword"]' "environments/$environment/secrets/database.yaml" |
  vault write database/config/postgresql plugin_name=postgresql-database-plugin allowed_roles=app1-back username=vault password=- \
    connection_url="postgresql://{{username}}:{{password}}@127.0.0.1:$database_port/$(setting name)?sslmode=$(setting sslmode)" \
    password_authentication=scram-sha-256 max_open_connections=4 tls_ca="@$certificates/ca.crt"

step 'all servers live'
for pid in "${started[@]}"; do kill -0 "$pid"; done
