#!/bin/sh
# Token helper of Vault's command line, as `env` sets it up: gives the token that init-vault keeps in $KEYS. `store` and
# `erase` (vault login, vault token revoke -self) leave that file alone.
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$KEYS" | tr -d '\n'; }
case "$1" in
  get)
    token=$(field admin_token)
    # A file of before, until init-vault has run.
    printf %s "${token:-$(field 'root_\{0,1\}[tT]oken')}"
    ;;
  store | erase) cat >/dev/null ;;
esac
