-- Who may finish an upload, and how often it may be tried; the type of a file, decided once; the end of an
-- upload's time, which counts from the moment it comes, whether or not a sweep has come by.

ALTER TABLE upload_sessions
  ADD COLUMN content_type text,  -- found in the first chunk's bytes; counts when mime_type is null
  -- Grows whenever the job is taken. Whoever writes names the number it took, so a holder that lost the job
  -- and does not know it changes nothing, even in the process that has it again.
  ADD COLUMN job_acquired int NOT NULL DEFAULT 1,
  -- How many holders in a row vanished with the job: three in a row are restarts, more may be its own doing.
  ADD COLUMN job_interrupted int NOT NULL DEFAULT 0;
-- From here on job_attempts is the number of the attempt that runs or comes next: a failure adds to it,
-- taking the job does not.

-- As before, but an upload that failed before all its bytes were in cannot be finished by a resend.
CREATE OR REPLACE FUNCTION judge_chunk(
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
    WHEN status = 'failed' AND received <> declared THEN 'failed'
    WHEN old_size = p_size AND coalesce(old_checksum = p_checksum, true)
      THEN CASE status WHEN 'failed' THEN 'requeued' WHEN 'completed' THEN 'done' ELSE 'join' END
    WHEN status = 'failed' THEN 'failed'
    WHEN p_size = 0 THEN CASE status WHEN 'completed' THEN 'done' ELSE 'join' END
    WHEN status = 'completed' THEN 'conflict'
    ELSE 'not_open' END
$$;

-- When an upload that is active now expires. The store drops multipart uploads that were opened long ago,
-- so no activity makes an upload live longer than 28 days.
CREATE FUNCTION prolonged(p_expires timestamptz, p_created timestamptz, p_ttl interval) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN p_expires < now() + p_ttl / 2
    THEN greatest(p_expires, least(now() + p_ttl, p_created + interval '28 days')) ELSE p_expires END
$$;

DROP FUNCTION accept_chunk, complete_begin;

-- The status of an upload as everybody sees it. An upload that is being finished does not expire, and what
-- completed stays. It takes scalars, so that the planner puts its text in place of its call.
CREATE FUNCTION standing(p_method upload_method, p_status upload_status, p_expires timestamptz)
RETURNS upload_status LANGUAGE sql STABLE AS $$
  SELECT CASE
    WHEN p_expires <= now()
      AND (p_status IN ('pending', 'failed') OR p_status = 'uploading' AND p_method = 'multipart')
    THEN 'aborted'::upload_status ELSE p_status END
$$;

-- Record one received chunk; when it completes the upload, the state changes and, unless the upload is
-- finalised without one, a job is made whose lease the caller holds. A null location means that nothing
-- was stored for it; p_type is what the bytes of a first chunk show. With the sources of a complete upload
-- come the type that was decided and the number under which the job was taken.
CREATE FUNCTION accept_chunk(
  p_upload uuid, p_user uuid, p_index int, p_size int, p_checksum text, p_location text, p_etag text,
  p_type text, p_min_part_bytes int, p_owner text, p_lease interval, p_ttl interval,
  OUT outcome text, OUT state upload_status, OUT received bigint, OUT replaced text, OUT missing int[],
  OUT store_upload text, OUT sizes int[], OUT locations text[], OUT etags text[],
  OUT decided_type text, OUT acquired int
) LANGUAGE plpgsql AS $$
DECLARE
  s upload_sessions; old upload_chunks; top int; full_now boolean; found_type text;
  due timestamptz; holder text;
BEGIN
  SELECT * INTO s FROM upload_sessions u
    WHERE u.upload_uuid = p_upload AND u.user_id = p_user FOR NO KEY UPDATE;
  IF NOT FOUND THEN outcome := 'gone'; RETURN; END IF;
  s.status := standing(s.upload_method, s.status, s.expires_at);
  SELECT * INTO old FROM upload_chunks c WHERE c.session_id = s.id AND c.chunk_index = p_index;
  state := s.status; received := s.received_bytes; store_upload := s.storage_upload_id;
  outcome := judge_chunk(s.upload_method, s.status, s.file_size_bytes, s.received_bytes,
    s.received_chunks, s.max_chunk_index, old.size_bytes, old.checksum, p_index, p_size, p_checksum);
  IF s.finalise_mode <> 'detached' THEN due := now() + p_lease; holder := p_owner; END IF;

  IF outcome = 'gap' THEN missing := missing_chunks(s.id, s.max_chunk_index, p_index); RETURN;
  ELSIF outcome = 'requeued' THEN
    state := 'assembling';
    UPDATE upload_sessions u SET status = state, updated_at = now(), job_due_at = due, lease_owner = holder,
        job_attempts = 1, job_acquired = u.job_acquired + 1, job_interrupted = 0
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
  found_type := CASE WHEN p_index = 0 THEN p_type ELSE s.content_type END;
  IF NOT full_now THEN
    UPDATE upload_sessions u SET received_bytes = received, max_chunk_index = top,
        received_chunks = s.received_chunks + (old.session_id IS NULL)::int,
        content_type = found_type, updated_at = now(),
        expires_at = prolonged(u.expires_at, u.created_at, p_ttl)
      WHERE u.id = s.id;
    RETURN;
  END IF;
  state := 'assembling';
  UPDATE upload_sessions u SET received_bytes = received, max_chunk_index = top, status = state,
      received_chunks = top + 1, content_type = found_type, updated_at = now(),
      expires_at = prolonged(u.expires_at, u.created_at, p_ttl),  -- it may fail, and be sent again
      job_due_at = due, lease_owner = holder, job_attempts = 1, job_created_at = now()
    WHERE u.id = s.id;
  decided_type := coalesce(s.mime_type, found_type); acquired := s.job_acquired;
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
  p_ttl interval, OUT outcome text, OUT session upload_sessions, OUT missing int[],
  OUT numbers int[], OUT sizes bigint[], OUT etags text[]
) LANGUAGE plpgsql AS $$
BEGIN
  SELECT * INTO session FROM upload_sessions u
    WHERE u.upload_uuid = p_upload AND u.user_id = p_user FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  session.status := standing(session.upload_method, session.status, session.expires_at);
  IF session.upload_method <> p_method THEN outcome := 'wrong_method'; RETURN;
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
      expires_at = prolonged(u.expires_at, u.created_at, p_ttl),
      job_due_at = now() + p_lease, lease_owner = p_owner, job_attempts = 1, job_created_at = now(),
      job_acquired = u.job_acquired + 1, job_interrupted = 0
    WHERE u.id = session.id RETURNING u.job_acquired INTO session.job_acquired;
END $$;

-- The store knows nothing of a proxied upload's multipart upload any more. With parts accepted their bytes
-- are lost: the upload has failed. Without any, the next part may open another. Null: nothing was changed.
CREATE FUNCTION store_upload_lost(p_session bigint, p_upload text, p_message text) RETURNS upload_status
LANGUAGE plpgsql AS $$
DECLARE
  now_is upload_status := 'pending';
BEGIN
  PERFORM FROM upload_sessions u
    WHERE u.id = p_session AND u.status = 'pending' AND u.storage_upload_id = p_upload FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF EXISTS (SELECT FROM upload_chunks c WHERE c.session_id = p_session AND c.location LIKE 'part:%') THEN
    now_is := 'failed';
    UPDATE upload_sessions u SET status = now_is, error_code = 'upload_failed', error_message = p_message,
        updated_at = now() WHERE u.id = p_session;
  ELSE
    UPDATE upload_sessions u SET storage_upload_id = NULL, updated_at = now() WHERE u.id = p_session;
  END IF;
  RETURN now_is;
END $$;
