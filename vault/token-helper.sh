#!/bin/sh
# Token helper of Vault's command line, as `env` sets it up: gives the token that init-vault keeps in $KEYS. `store` and
# `erase` (vault login, vault token revoke -self) leave that file alone.
case "$1" in
  get) sed -n 's/.*"root_\{0,1\}[tT]oken": *"\([^"]*\)".*/\1/p' "$KEYS" | tr -d '\n' ;;
  store | erase) cat >/dev/null ;;
esac
