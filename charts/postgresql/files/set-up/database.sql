-- Run in each application's database: nobody but the owner, which is called as the database is, makes or sees anything in it.
SELECT format('ALTER SCHEMA public OWNER TO %I', current_database())
  FROM pg_namespace WHERE nspname = 'public' AND pg_get_userbyid(nspowner) <> current_database() \gexec

REVOKE ALL ON SCHEMA public FROM PUBLIC;
