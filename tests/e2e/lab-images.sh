#!/usr/bin/env bash
# Fills the lab's image store with all images of the environment `lab`, under the names that it uses. The lab's program
# is `lab` on PATH, or $LAB. Existing images are replaced, so that changes arrive.
set -euo pipefail
cd "$(dirname "$0")/../.."
lab=${LAB:-lab}

# Images that the lab provides.
while read -r kind name; do
  "$lab" image make "$kind" "$name" </dev/null
done <<'IMAGES'
base docker.io/library/debian:bookworm-slim
postgres docker.io/library/postgres:17.6-bookworm
nginx docker.io/nginxinc/nginx-unprivileged:1.28.0-alpine
vault docker.io/hashicorp/vault:1.21.0
vault-secrets-operator docker.io/hashicorp/vault-secrets-operator:0.10.0
kube-rbac-proxy quay.io/brancz/kube-rbac-proxy:v0.18.1
traefik docker.io/library/traefik:v3.6.12
metrics-server registry.k8s.io/metrics-server/metrics-server:v0.9.0
IMAGES

# The same under the default tags (environments/common.yaml), for environments that set none of their own.
tag() { "$lab" image tag "$1:$2" "$1:$3" </dev/null; }
tag docker.io/library/postgres 17.6-bookworm 17.11-bookworm
tag docker.io/nginxinc/nginx-unprivileged 1.28.0-alpine 1.30.5-alpine
tag docker.io/hashicorp/vault-secrets-operator 0.10.0 1.4.1

# npm in a build trusts the same CAs as npm here.
authorities=()
if [ -n "${NODE_EXTRA_CA_CERTS:-}" ]; then
  authorities=(--volume "$NODE_EXTRA_CA_CERTS:/etc/authorities.crt:ro" --build-arg NODE_EXTRA_CA_CERTS=/etc/authorities.crt)
fi

# Our own images.
while read -r folder name; do
  "$lab" image build "$folder" "$name" --build-arg BASE_IMAGE=docker.io/library/debian:bookworm-slim \
    "${authorities[@]}" </dev/null
done <<'IMAGES'
docker/backend docker.io/k8s-deployment/backend:0.1.0
docker/backend-verification docker.io/k8s-deployment/backend-verification:0.1.0
IMAGES
