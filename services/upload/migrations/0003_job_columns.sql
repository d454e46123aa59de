-- The finalisation job moves into the row of its upload: one row to write per change of state.

ALTER TABLE upload_sessions
  ADD COLUMN last_part_bytes bigint,  -- length of the part that ends the file
  -- The job is due from job_due_at on: without an owner that is its next attempt, with one the end of the
  -- owner's lease. Null: there is none yet, it has ended, or FINALISE=detached.
  ADD COLUMN job_due_at timestamptz,
  ADD COLUMN lease_owner text,        -- null: queued
  ADD COLUMN job_created_at timestamptz,
  ADD COLUMN job_attempts int NOT NULL DEFAULT 0,
  ADD COLUMN job_step text NOT NULL DEFAULT 'assemble' CHECK (job_step IN ('assemble', 'joined', 'store')),
  ADD COLUMN job_etag text,           -- of the object that the step makes, recorded before it is made
  ADD COLUMN joined_etag text,        -- repack: of the object that the parts were joined to
  ADD COLUMN repack_upload_id text,   -- repack: the store's upload that replaces it
  SET (fillfactor = 70);              -- room for the next versions of a row on its own page

UPDATE upload_sessions SET last_part_bytes = file_size_bytes - part_size_bytes * (total_chunks - 1)
  WHERE upload_method = 'multipart' AND total_chunks > 0;
-- 'verify' and 'register' were steps of what a job now decides by what it finds.
UPDATE upload_sessions s SET
    job_due_at = CASE j.state WHEN 'queued' THEN j.next_run_at WHEN 'running' THEN j.lease_until END,
    lease_owner = CASE j.state WHEN 'running' THEN j.lease_owner END,
    job_created_at = j.created_at, job_attempts = j.attempts,
    job_step = CASE WHEN j.step IN ('verify', 'register') THEN 'assemble' ELSE j.step END,
    job_etag = j.etag, joined_etag = j.joined_etag, repack_upload_id = j.repack_upload_id
  FROM finalise_jobs j WHERE j.session_id = s.id;
DROP TABLE finalise_jobs;

-- An upload's row is written three times, and each time most indexes get an entry: those stay that a
-- statement reads by. No index names the status or a counter, so that other changes touch the row alone.
DROP INDEX upload_sessions_open, upload_sessions_expiry, upload_sessions_ended;
ALTER TABLE upload_sessions
  DROP CONSTRAINT upload_sessions_storage_key_key,  -- the key is made from upload_uuid, which is unique
  DROP CONSTRAINT upload_sessions_user_id_idempotency_key_key;
CREATE UNIQUE INDEX upload_sessions_idempotency ON upload_sessions (user_id, idempotency_key)
  WHERE idempotency_key IS NOT NULL;
-- How many a user has open; and all that may expire, which are few enough to be looked through.
CREATE INDEX upload_sessions_open ON upload_sessions (user_id) WHERE ended_at IS NULL;
CREATE INDEX upload_sessions_due ON upload_sessions (job_due_at) WHERE job_due_at IS NOT NULL;

DROP FUNCTION accept_chunk, complete_begin, late_chunk, multipart_etag;

-- Decisions that lock a session and then read other tables. They are functions because a single
-- statement reads other tables as they were when it started, before it waited for the lock: two last
-- chunks sent at once would each miss the other. Inside a function every statement sees the present.

-- What becomes of a chunk, by the session and what is stored at its index. Asked twice: before the body,
-- when p_checksum is null and any stored chunk of the same length may turn out to be the same, and under
-- the session's lock with the hash of the bytes received. It takes scalars, because the planner puts such
-- a function's text in place of its call, and taking rows apart is dear.
CREATE FUNCTION judge_chunk(
  method upload_method, status upload_status, declared bigint, received bigint, chunks int, top int,
  old_size int, old_checksum text, p_index int, p_size int, p_checksum text
) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN method <> 'proxy' THEN 'wrong_method'
    WHEN status = 'pending' THEN CASE
      WHEN p_size = 0 THEN CASE WHEN old_size IS NULL THEN 'empty' ELSE 'conflict' END
      WHEN old_size = p_size AND old_checksum = p_checksum THEN 'duplicate'
      WHEN received - coalesce(old_size, 0) + p_size > declared THEN 'too_large'
      WHEN received - coalesce(old_size, 0) + p_size = declared
        AND chunks + (old_size IS NULL)::int <> greatest(top, p_index) + 1 THEN 'gap'
      WHEN old_size IS NULL THEN 'stored'
      ELSE 'replaced' END
    WHEN status = 'aborted' THEN 'aborted'
    WHEN old_size = p_size AND coalesce(old_checksum = p_checksum, true)
      THEN CASE status WHEN 'failed' THEN 'requeued' WHEN 'completed' THEN 'done' ELSE 'join' END
    WHEN status = 'failed' THEN 'failed'
    WHEN p_size = 0 THEN CASE status WHEN 'completed' THEN 'done' ELSE 'join' END
    WHEN status = 'completed' THEN 'conflict'
    ELSE 'not_open' END
$$;

-- Indexes up to p_top that are not stored, p_index apart; the first 100.
CREATE FUNCTION missing_chunks(p_session bigint, p_top int, p_index int) RETURNS int[]
LANGUAGE sql STABLE AS $$
  SELECT ARRAY(SELECT i FROM generate_series(0, greatest(p_top, p_index)) i
    WHERE i <> p_index
      AND NOT EXISTS (SELECT FROM upload_chunks c WHERE c.session_id = p_session AND c.chunk_index = i)
    ORDER BY i LIMIT 100)
$$;

-- Record one received chunk; when it completes the upload, the state changes and, unless the upload is
-- finalised without one, a job is made whose lease the caller holds. A null location means that nothing
-- was stored for it.
CREATE FUNCTION accept_chunk(
  p_upload uuid, p_user uuid, p_index int, p_size int, p_checksum text, p_location text, p_etag text,
  p_mime text, p_min_part_bytes int, p_owner text, p_lease interval, p_ttl interval,
  OUT outcome text, OUT state upload_status, OUT received bigint, OUT replaced text, OUT missing int[],
  OUT store_upload text, OUT sizes int[], OUT locations text[], OUT etags text[]
) LANGUAGE plpgsql AS $$
DECLARE
  s upload_sessions; old upload_chunks; top int; full_now boolean;
  due timestamptz; holder text;
BEGIN
  SELECT * INTO s FROM upload_sessions u
    WHERE u.upload_uuid = p_upload AND u.user_id = p_user FOR NO KEY UPDATE;
  IF NOT FOUND THEN outcome := 'gone'; RETURN; END IF;
  SELECT * INTO old FROM upload_chunks c WHERE c.session_id = s.id AND c.chunk_index = p_index;
  state := s.status; received := s.received_bytes; store_upload := s.storage_upload_id;
  outcome := judge_chunk(s.upload_method, s.status, s.file_size_bytes, s.received_bytes,
    s.received_chunks, s.max_chunk_index, old.size_bytes, old.checksum, p_index, p_size, p_checksum);
  IF s.finalise_mode <> 'detached' THEN due := now() + p_lease; holder := p_owner; END IF;

  IF outcome = 'gap' THEN missing := missing_chunks(s.id, s.max_chunk_index, p_index); RETURN;
  ELSIF outcome = 'requeued' THEN
    state := 'assembling';
    UPDATE upload_sessions u SET status = state, updated_at = now(), job_due_at = due, lease_owner = holder,
        job_attempts = 1
      WHERE u.id = s.id;
    RETURN;
  ELSIF outcome NOT IN ('stored', 'replaced') THEN RETURN;
  END IF;

  received := s.received_bytes - coalesce(old.size_bytes, 0) + p_size;
  top := greatest(s.max_chunk_index, p_index);
  full_now := received = s.file_size_bytes;
  IF p_location IS NULL  -- it was the same as a stored one, which was replaced meanwhile
    OR p_location = 'final' AND NOT full_now
    OR p_location LIKE 'part:%' AND p_size < p_min_part_bytes AND NOT (full_now AND p_index = top)
  THEN
    outcome := 'send_again'; received := s.received_bytes; RETURN;
  END IF;

  INSERT INTO upload_chunks AS c (session_id, chunk_index, size_bytes, checksum, location, etag)
    VALUES (s.id, p_index, p_size, p_checksum, p_location, p_etag)
    ON CONFLICT (session_id, chunk_index) DO UPDATE SET size_bytes = EXCLUDED.size_bytes,
      checksum = EXCLUDED.checksum, location = EXCLUDED.location, etag = EXCLUDED.etag, uploaded_at = now();
  replaced := old.location;
  IF NOT full_now THEN
    UPDATE upload_sessions u SET received_bytes = received, max_chunk_index = top,
        received_chunks = s.received_chunks + (old.session_id IS NULL)::int,
        mime_type = coalesce(u.mime_type, p_mime), updated_at = now(),
        expires_at = CASE WHEN u.expires_at < now() + p_ttl / 2 THEN now() + p_ttl ELSE u.expires_at END
      WHERE u.id = s.id;
    RETURN;
  END IF;
  state := 'assembling';
  UPDATE upload_sessions u SET received_bytes = received, max_chunk_index = top, status = state,
      received_chunks = top + 1, mime_type = coalesce(u.mime_type, p_mime), updated_at = now(),
      job_due_at = due, lease_owner = holder, job_attempts = 1, job_created_at = now()
    WHERE u.id = s.id;
  IF top = 0 THEN
    sizes := ARRAY[p_size]; locations := ARRAY[p_location]; etags := ARRAY[p_etag];
  ELSE
    SELECT array_agg(c.size_bytes ORDER BY c.chunk_index), array_agg(c.location ORDER BY c.chunk_index),
           array_agg(c.etag ORDER BY c.chunk_index)
      INTO sizes, locations, etags FROM upload_chunks c WHERE c.session_id = s.id;
  END IF;
END $$;

-- The client says that a direct upload is complete: take the state and the job, return the parts.
-- p_etag is what the client says the object has. A null outcome: there is no such upload.
CREATE FUNCTION complete_begin(
  p_upload uuid, p_user uuid, p_method upload_method, p_etag text, p_owner text, p_lease interval,
  OUT outcome text, OUT session upload_sessions, OUT missing int[],
  OUT numbers int[], OUT sizes bigint[], OUT etags text[]
) LANGUAGE plpgsql AS $$
BEGIN
  SELECT * INTO session FROM upload_sessions u
    WHERE u.upload_uuid = p_upload AND u.user_id = p_user FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN;
  ELSIF session.upload_method <> p_method THEN outcome := 'wrong_method'; RETURN;
  ELSIF session.status = 'completed' THEN outcome := 'done'; RETURN;
  ELSIF session.status = 'aborted' THEN outcome := 'aborted'; RETURN;
  ELSIF session.status = 'completing' THEN outcome := 'join'; RETURN;
  END IF;

  IF p_method = 'multipart' THEN
    SELECT array_agg(m.part_number ORDER BY m.part_number), array_agg(m.size_bytes ORDER BY m.part_number),
           array_agg(m.etag ORDER BY m.part_number)
      INTO numbers, sizes, etags FROM multipart_parts m WHERE m.session_id = session.id;
    IF coalesce(cardinality(numbers), 0) < session.total_chunks THEN
      outcome := 'missing';
      missing := ARRAY(SELECT n FROM generate_series(1, session.total_chunks) n
        WHERE n <> ALL (coalesce(numbers, '{}')) ORDER BY n LIMIT 100);
      RETURN;
    END IF;
  END IF;

  outcome := 'begun';
  UPDATE upload_sessions u SET status = 'completing', updated_at = now(), job_etag = p_etag,
      job_due_at = now() + p_lease, lease_owner = p_owner, job_attempts = 1, job_created_at = now()
    WHERE u.id = session.id;
END $$;
