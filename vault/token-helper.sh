#!/bin/sh
# Token helper of Vault's CLI, set up by `env`: prints the token that init-vault keeps in $KEYS. `store` and `erase`
# (vault login, vault token revoke -self) do not change that file.
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$KEYS" | tr -d '\n'; }
case "$1" in
  get)
    token=$(field admin_token)
    # File of an older version, until init-vault has run.
    printf %s "${token:-$(field 'root_\{0,1\}[tT]oken')}"
    ;;
  store | erase) cat >/dev/null ;;
esac
