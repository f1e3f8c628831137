#!/bin/sh
# Token helper of Vault's CLI, set up by `env`: prints the token that init-vault keeps in $KEYS. `store` and `erase`
# (vault login, vault token revoke -self) do not change that file.
keys() { case "$KEYS" in *.yaml) sops decrypt --output-type json "$KEYS" ;; *) cat "$KEYS" ;; esac; }
case "$1" in
  get) keys | sed -n 's/.*"admin_token": *"\([^"]*\)".*/\1/p' | tr -d '\n' ;;
  store | erase) cat >/dev/null ;;
esac
