-- Who may do what in a service's database. The cluster's administrator runs this at every start, so that
-- databases of earlier versions, where the administrator owned everything, become the same.
--
--   migrator  owns the database and what is in it; changes it by migrations, and holds locks that last
--   service   reads and writes rows, and calls functions
--   monitor   reads the server's statistics

DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['migrator', 'service', 'monitor'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
      EXECUTE format('CREATE ROLE %I', role);
    END IF;
    EXECUTE format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD %L',
                   role, current_setting('vaultbench.' || role));
  END LOOP;
END $$;

GRANT pg_monitor TO monitor;

DO $$
DECLARE
  name text := current_database();
  one text;
BEGIN
  EXECUTE format('ALTER DATABASE %I OWNER TO migrator', name);
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', name);
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO service, monitor', name);
  -- Sequences of identity columns go with their tables.
  FOR one IN
    SELECT format('ALTER TABLE %s OWNER TO migrator', c.oid::regclass) FROM pg_class c
      WHERE c.relnamespace = 'public'::regnamespace AND c.relowner = current_user::regrole AND c.relkind = 'r'
    UNION ALL SELECT format('ALTER ROUTINE %s OWNER TO migrator', p.oid::regprocedure) FROM pg_proc p
      WHERE p.pronamespace = 'public'::regnamespace AND p.proowner = current_user::regrole
    UNION ALL SELECT format('ALTER TYPE %s OWNER TO migrator', t.oid::regtype) FROM pg_type t
      WHERE t.typnamespace = 'public'::regnamespace AND t.typowner = current_user::regrole AND t.typtype = 'e'
  LOOP
    EXECUTE one;
  END LOOP;
  -- Limits live on the role, so that a pooler in between cannot lose them; the migrations of two databases
  -- say why the planner is kept to its indexes.
  FOREACH one IN ARRAY ARRAY[
    'statement_timeout = ''10s''', 'idle_in_transaction_session_timeout = ''10s''',
    'enable_seqscan = off', 'enable_bitmapscan = off', 'jit = off'
  ] LOOP
    EXECUTE format('ALTER ROLE service IN DATABASE %I SET %s', name, one);
  END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO service;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO service;
ALTER DEFAULT PRIVILEGES FOR ROLE migrator IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO service;
ALTER DEFAULT PRIVILEGES FOR ROLE migrator IN SCHEMA public GRANT USAGE ON SEQUENCES TO service;
