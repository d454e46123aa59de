-- Files, who else may read them, and what is pinned. A file's row outlives its object: deletion is a
-- mark first, and a sweeper removes the object later.

DO $$
BEGIN
  -- Limits live on the role, so that a pooler in between cannot lose them.
  EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET statement_timeout = %L',
                 current_database(), '10s');
  EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET idle_in_transaction_session_timeout = %L',
                 current_database(), '10s');
  -- Every statement finds its rows by an index. A plan that was made while a table was empty would read
  -- the whole table for as long as its connection lives; a bitmap scan never clears dead index entries.
  EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET enable_seqscan = off', current_database());
  EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET enable_bitmapscan = off', current_database());
  -- The planner's price for a scan that is switched off would start the compiler.
  EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET jit = off', current_database());
END $$;

CREATE TABLE files (
  file_uuid uuid PRIMARY KEY,
  upload_uuid uuid UNIQUE,  -- makes registration idempotent; null for copies
  user_id uuid NOT NULL,
  file_name text NOT NULL,
  -- The name with case folded, for searches: lower() knows only ASCII under the C collation.
  folded_name text NOT NULL DEFAULT '',
  mime_type text NOT NULL DEFAULT 'application/octet-stream',
  size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
  storage_key text NOT NULL UNIQUE,
  checksum text,
  etag text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  visible_at timestamptz NOT NULL DEFAULT clock_timestamp(),  -- read by the harness
  deleted_at timestamptz,
  object_deleted_at timestamptz,
  voided_at timestamptz  -- a tombstone: this id can never be registered
);
CREATE INDEX files_by_owner ON files (user_id, created_at DESC, file_uuid DESC) WHERE deleted_at IS NULL;
CREATE INDEX files_by_folder ON files (user_id, file_name text_pattern_ops) WHERE deleted_at IS NULL;
CREATE INDEX files_to_sweep ON files (deleted_at)
  WHERE deleted_at IS NOT NULL AND object_deleted_at IS NULL;
CREATE INDEX files_to_forget ON files (object_deleted_at) WHERE object_deleted_at IS NOT NULL;

CREATE TABLE file_shares (
  file_uuid uuid NOT NULL REFERENCES files ON DELETE CASCADE,
  shared_with_user_id uuid NOT NULL,
  shared_with_email text NOT NULL,
  permission text NOT NULL CHECK (permission IN ('viewer', 'editor')),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (file_uuid, shared_with_user_id)
);
CREATE INDEX file_shares_by_recipient ON file_shares (shared_with_user_id, created_at DESC);

CREATE TABLE file_shortcuts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  file_uuid uuid NOT NULL REFERENCES files ON DELETE CASCADE,
  user_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (file_uuid, user_id)
);
CREATE INDEX file_shortcuts_by_user ON file_shortcuts (user_id, created_at DESC);

CREATE TABLE public_files (
  file_uuid uuid PRIMARY KEY REFERENCES files ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now()
);
