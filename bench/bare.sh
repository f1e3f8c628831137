#!/usr/bin/env bash
# Starts a bare cluster with kwokctl and waits for the API server and three simulated nodes.
#
#   bench/bare.sh <state folder> <cluster name>
#
# Tools come from PATH. Its processes keep running; the caller ends them.
set -euo pipefail

state=$1
cluster=$2
export KUBECONFIG="$state/kubeconfig" KUBECACHEDIR="$state/kube-cache" KWOK_WORKDIR="$state/kwok"
mkdir -p "$KWOK_WORKDIR"

# The default address is 0.0.0.0, and etcd has no authentication.
cat >"$state/kwok.yaml" <<'YAML'
apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokctlConfiguration
options:
  bindAddress: 127.0.0.1
YAML
kwokctl create cluster --name "$cluster" --runtime binary --config "$state/kwok.yaml" --kubeconfig "$KUBECONFIG" \
  --etcd-binary "$(command -v etcd)" \
  --kube-apiserver-binary "$(command -v kube-apiserver)" \
  --kube-controller-manager-binary "$(command -v kube-controller-manager)" \
  --kube-scheduler-binary "$(command -v kube-scheduler)" \
  --kwok-controller-binary "$(command -v kwok)"
until kubectl get --raw /readyz >/dev/null 2>&1; do sleep 0.2; done
kwokctl scale node --name "$cluster" --replicas 3
kubectl wait --for=condition=Ready node --all --timeout=60s
