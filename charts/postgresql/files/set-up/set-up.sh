#!/bin/sh
# Brings the server of PGHOST to what DATABASE_ROLES (JSON) describes. Prints one line, and ends with 1 when that failed.
set -u
cd "$(dirname "$0")" || exit 1

# Overrides what the owner of a database sets for it, such as another role, read-only, or a search path on which functions
# of its own stand before PostgreSQL's.
PGOPTIONS='-csearch_path=pg_catalog -crole=none -cdefault_transaction_read_only=off'
PGOPTIONS="$PGOPTIONS -clocal_preload_libraries= -cidle_session_timeout=0"
# Keeps statements, and the passwords in them, out of the server's log, even if they fail.
PGOPTIONS="$PGOPTIONS -clog_statement=none -clog_min_duration_statement=-1 -clog_transaction_sample_rate=0"
export PGOPTIONS="$PGOPTIONS -clog_min_error_statement=panic -clog_parameter_max_length_on_error=0"

run() { # database, words of psql
  database=$1
  shift
  # The roles come by the environment and go as a setting: no argument of a process, no statement.
  psql --no-psqlrc --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 --dbname="$database" --file=- "$@" <<'SQL' 2>&1
\getenv wanted DATABASE_ROLES
SELECT set_config('setup.wanted', :'wanted', false) \g /dev/null
SQL
}

fail() {
  echo "FAILED database roles: $(echo "$1" | tr '\n' ' ')"
  exit 1
}

# The Service leads nowhere until the server is ready, which takes a new cluster minutes.
end=$(($(date +%s) + ${WAIT_SECONDS:-60}))
until pg_isready --quiet --timeout=2 || [ "$(date +%s)" -ge "$end" ]; do
  sleep 1
done

said=$(run "$PGDATABASE" --file=roles.sql) || fail "$said"
databases=$(run "$PGDATABASE" --command="SELECT jsonb_object_keys(current_setting('setup.wanted')::jsonb -> 'applications')") || fail "$databases"
for database in $databases; do
  said=$(run "$database" --file=database.sql) || fail "$said"
done
echo "ok database roles: $(echo "$databases" | tr '\n' ' ')"
