#!/bin/sh
# A user id of `docker run --user` needs an account, for PostgreSQL and ssh. Only ids from 500 on are read from this file.
id -un >/dev/null 2>&1 || echo "user:x:$(id -u):65534::$HOME:/bin/bash" >>/var/lib/extrausers/passwd
# tini ends the processes that an environment leaves behind.
exec tini -- "$@"
