-- Run in each application's database: nobody but the owner, which is called as the database is, makes or sees anything in its
-- schema `public`, which the owner may have dropped.
SELECT format('ALTER SCHEMA public OWNER TO %I', current_database())
  FROM pg_namespace WHERE nspname = 'public' AND pg_get_userbyid(nspowner) <> current_database() \gexec

SELECT 'REVOKE ALL ON SCHEMA public FROM PUBLIC' FROM pg_namespace WHERE nspname = 'public' \gexec
