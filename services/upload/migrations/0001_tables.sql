-- Uploads: one row per session, its chunks or parts, and the job that makes it durable.
-- An upload's uuid is also the id of the file it becomes.

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

CREATE TYPE upload_status AS ENUM
  ('pending', 'assembling', 'uploading', 'completing', 'completed', 'failed', 'aborted');
CREATE TYPE upload_method AS ENUM ('proxy', 'multipart', 'single', 'file', 'batch');

CREATE TABLE upload_sessions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  upload_uuid uuid NOT NULL UNIQUE,
  user_id uuid NOT NULL,
  upload_method upload_method NOT NULL,
  status upload_status NOT NULL DEFAULT 'pending',
  file_name text NOT NULL,
  mime_type text,
  file_size_bytes bigint CHECK (file_size_bytes >= 0),
  part_size_bytes bigint,
  total_chunks int NOT NULL,
  -- Complete when received_bytes = file_size_bytes and received_chunks = max_chunk_index + 1.
  received_bytes bigint NOT NULL DEFAULT 0,
  received_chunks int NOT NULL DEFAULT 0,
  max_chunk_index int NOT NULL DEFAULT -1,
  storage_key text NOT NULL UNIQUE,
  storage_upload_id text,
  checksum text,
  etag text,
  finalise_mode text NOT NULL DEFAULT 'inline',
  error_code text,
  error_message text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,        -- clock_timestamp() of the statement that ended it: time of durable
  urls_expire_at timestamptz,  -- of the latest presigned PUT
  clean_after timestamptz,     -- when leftovers are looked for a second time; null when done
  expires_at timestamptz NOT NULL,
  final_key_taken boolean NOT NULL DEFAULT false,  -- an object of other bytes sits at the final key
  idempotency_key text,
  UNIQUE (user_id, idempotency_key)
) WITH (fillfactor = 80);  -- counters change in place

CREATE INDEX upload_sessions_owner ON upload_sessions (user_id, created_at DESC);
CREATE INDEX upload_sessions_open ON upload_sessions (user_id)
  WHERE status IN ('pending', 'assembling', 'uploading', 'completing');
CREATE INDEX upload_sessions_expiry ON upload_sessions (expires_at)
  WHERE status IN ('pending', 'uploading', 'failed');
CREATE INDEX upload_sessions_ended ON upload_sessions (ended_at) WHERE status IN ('completed', 'aborted');
CREATE INDEX upload_sessions_clean ON upload_sessions (clean_after) WHERE clean_after IS NOT NULL;

CREATE TABLE upload_chunks (
  session_id bigint NOT NULL REFERENCES upload_sessions ON DELETE CASCADE,
  chunk_index int NOT NULL CHECK (chunk_index >= 0),
  size_bytes int NOT NULL CHECK (size_bytes > 0),
  checksum text NOT NULL,
  location text NOT NULL,  -- 'final', 'part:<number>', 'temp:<key>' or 'spool:<path>'
  etag text,               -- the store's; null for a spool file
  uploaded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (session_id, chunk_index)
);

-- Every send of a part takes a number that is never used again, so that late bytes hurt nobody.
CREATE TABLE chunk_slots (
  session_id bigint NOT NULL REFERENCES upload_sessions ON DELETE CASCADE,
  chunk_index int NOT NULL,
  next_slot int NOT NULL,
  PRIMARY KEY (session_id, chunk_index)
);

CREATE TABLE multipart_parts (
  session_id bigint NOT NULL REFERENCES upload_sessions ON DELETE CASCADE,
  part_number int NOT NULL CHECK (part_number BETWEEN 1 AND 10000),
  size_bytes bigint NOT NULL,
  etag text NOT NULL,
  checksum text,
  uploaded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (session_id, part_number)
);

CREATE TABLE finalise_jobs (
  session_id bigint PRIMARY KEY REFERENCES upload_sessions ON DELETE CASCADE,
  state text NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
  step text NOT NULL CHECK (step IN ('assemble', 'joined', 'store', 'verify', 'register')),
  etag text,              -- of the object that the step makes, recorded before it is made
  joined_etag text,       -- repack: of the object that the parts were joined to
  repack_upload_id text,  -- repack: the store's upload that replaces it
  attempts int NOT NULL DEFAULT 0,
  next_run_at timestamptz NOT NULL DEFAULT now(),
  lease_owner text,
  lease_until timestamptz,
  last_error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);

CREATE INDEX finalise_jobs_due ON finalise_jobs (next_run_at) WHERE state = 'queued';
CREATE INDEX finalise_jobs_leased ON finalise_jobs (lease_until) WHERE state = 'running';
