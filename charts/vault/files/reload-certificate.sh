# Makes Vault load a renewed certificate (SIGHUP). Needs the pod's shared process namespace.
state() { cksum /vault/tls/tls.crt; }
last=$(state)
while sleep 30; do
  [ "$(state)" != "$last" ] || continue
  last=$(state)
  for process in /proc/[0-9]*; do
    [ "$(cat "$process/comm")" != vault ] || kill -HUP "${process#/proc/}"
  done
done
