-- The end of the lease: a role that is still connected could not be dropped without its sessions living on. Sessions go
-- by the role they logged in as, whatever role they act as now.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}';
DROP ROLE IF EXISTS "{{name}}";
