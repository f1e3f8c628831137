#!/bin/sh
# Saves a snapshot of Vault to /backups, which is there under its name only once it is whole, and keeps the newest $KEEP.
set -eu
umask 077
cd /backups
rm -f .vault-*.snap
VAULT_TOKEN=$(vault write -field=token auth/kubernetes/login role=vault-backup jwt=@/run/vault-login/token)
export VAULT_TOKEN
name=vault-$(date -u +%Y%m%dT%H%M%SZ).snap
vault operator raft snapshot save ".$name"
# it compares the checksums in the snapshot
vault operator raft snapshot inspect ".$name" > /dev/null
mv ".$name" "$name"
echo "saved $name"
ls -1 vault-*.snap | sort -r | tail -n "+$((KEEP + 1))" | while read -r old; do
  rm -f "$old"
  echo "removed $old"
done
