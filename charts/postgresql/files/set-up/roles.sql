-- Roles and databases as the setting `setup.wanted` describes them; run in the superuser's own database, as often as one likes.
-- Plain SQL, and queries that end with \gexec: each text that such a query gives is a statement to be executed.

CREATE TEMPORARY VIEW application AS
  SELECT key AS name, coalesce(value ->> 'password', '') AS password
  FROM jsonb_each(current_setting('setup.wanted')::jsonb -> 'applications');

CREATE TEMPORARY VIEW issuer AS
  SELECT key AS name, value ->> 'password' AS password
  FROM jsonb_each(current_setting('setup.wanted')::jsonb -> 'issuers');

-- The owner of each application's database; without a password it is a group that others are members of.
SELECT format('CREATE ROLE %I', name) FROM (SELECT name FROM application UNION SELECT name FROM issuer) AS role
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

SELECT format('ALTER ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS %s', name,
    CASE WHEN password = '' THEN 'NOLOGIN PASSWORD NULL' ELSE format('LOGIN PASSWORD %L', password) END)
  FROM application \gexec

-- Who makes logins for the applications that have none of their own: may make roles, and give them those applications' rights.
SELECT format('ALTER ROLE %I NOSUPERUSER NOCREATEDB CREATEROLE NOREPLICATION NOBYPASSRLS LOGIN PASSWORD %L', name, password)
  FROM issuer \gexec

SELECT format('GRANT %I TO %I WITH ADMIN OPTION', application.name, issuer.name)
  FROM application, issuer WHERE application.password = '' \gexec

-- Also from the logins that it made: from PostgreSQL 16 on, they have the role by its right to give it.
SELECT format('REVOKE %I FROM %I CASCADE', application.name, issuer.name)
  FROM application, issuer
  WHERE application.password <> '' AND pg_has_role(issuer.name, application.name, 'MEMBER') \gexec

-- From PostgreSQL 16 on who makes a role is no member of it unless it says so, and could not end its sessions.
SELECT format('ALTER ROLE %I SET createrole_self_grant = %L', name, 'set, inherit')
  FROM issuer WHERE current_setting('server_version_num')::integer >= 160000 \gexec

-- Before, that took membership in a role of the server's.
SELECT format('GRANT pg_signal_backend TO %I', name)
  FROM issuer WHERE current_setting('server_version_num')::integer < 160000 \gexec

SELECT format('CREATE DATABASE %I OWNER %I', name, name) FROM application
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec

SELECT format('ALTER DATABASE %I OWNER TO %I', datname, name)
  FROM application JOIN pg_database ON datname = name WHERE pg_get_userbyid(datdba) <> name \gexec

-- Everybody may connect to everything, unless it is taken from them: owners keep their right, issuers need one.
SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', name)
  FROM (SELECT name FROM application UNION SELECT datname FROM pg_database
    WHERE datname IN (current_database(), 'postgres', 'template1')) AS closed (name) \gexec

SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), name) FROM issuer \gexec
