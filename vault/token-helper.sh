#!/bin/sh
# Token helper of Vault's CLI, set up by `env`: prints the token that init-vault keeps in $KEYS. `store` and `erase`
# (vault login, vault token revoke -self) do not change that file.
keys() { case "$KEYS" in *.yaml) sops decrypt --output-type json "$KEYS" ;; *) cat "$KEYS" ;; esac; }
field() { keys | sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | tr -d '\n'; }
case "$1" in
  get)
    token=$(field admin_token)
    # File of an older version, until init-vault has run.
    printf %s "${token:-$(field 'root_\{0,1\}[tT]oken')}"
    ;;
  store | erase) cat >/dev/null ;;
esac
