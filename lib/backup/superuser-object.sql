-- The first object of the current database that only a superuser can restore, such as `event trigger audit`. The owner
-- of a database cannot create any, except as a part of something. Each set names objects by catalog and row.

WITH
-- Casts and publications may depend on nothing, and nothing on them.
created (classid, objid) AS (
  SELECT classid, objid FROM pg_depend
  UNION SELECT tableoid, oid FROM pg_cast
  UNION SELECT tableoid, oid FROM pg_publication
),
-- The owner of an extension tells nothing: after a restore it is the superuser. Whoever owns a type creates its casts,
-- except those without a function. Any other object could be created by its owner, but for four kinds.
restorable AS (
  SELECT tableoid, oid FROM pg_extension
  UNION SELECT pg_cast.tableoid, pg_cast.oid FROM pg_cast
    JOIN pg_type ON pg_type.oid IN (castsource, casttarget) JOIN pg_roles ON pg_roles.oid = typowner
    WHERE castmethod <> 'b' AND NOT rolsuper
  UNION SELECT classid, objid FROM pg_shdepend
    JOIN pg_roles ON pg_roles.oid = refobjid JOIN pg_database ON pg_database.oid = dbid
    WHERE deptype = 'o' AND NOT (rolsuper OR rolbypassrls) AND datname = current_database()
      AND classid::regclass::text NOT IN
        ('pg_opclass', 'pg_opfamily', 'pg_event_trigger', 'pg_foreign_data_wrapper')
),
-- Whoever owns them: publications of all tables; extensions that are not trusted, or whose tables are dumped with
-- rows; functions that are leakproof, or in an untrusted language.
privileged AS (
  SELECT tableoid, oid FROM pg_publication WHERE puballtables
  UNION SELECT pg_extension.tableoid, pg_extension.oid FROM pg_extension
    JOIN pg_available_extension_versions ON name = extname AND version = extversion
    WHERE superuser AND (extconfig IS NOT NULL OR NOT trusted)
  UNION SELECT pg_proc.tableoid, pg_proc.oid FROM pg_proc JOIN pg_language ON pg_language.oid = prolang
    WHERE proleakproof OR NOT lanpltrusted
),
-- Created together with another object: by it, or as a member of an extension.
part AS (SELECT classid, objid FROM pg_depend WHERE deptype IN ('a', 'e', 'i')),

found AS (
  (TABLE created EXCEPT TABLE restorable) UNION TABLE privileged EXCEPT TABLE part
)
-- Objects of initdb have lower numbers.
SELECT pg_describe_object(classid, objid, 0) AS name FROM found WHERE objid >= 16384 ORDER BY 1 LIMIT 1
