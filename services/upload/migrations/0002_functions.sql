-- Decisions that lock a session and then read other tables. They are functions because a single
-- statement reads other tables as they were when it started, before it waited for the lock: two last
-- chunks sent at once would each miss the other. Inside a function every statement sees the present.

-- The ETag a multipart object of these parts will have, or null when a part's ETag is not an MD5.
CREATE FUNCTION multipart_etag(etags text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  bytes bytea := ''; part text;
BEGIN
  FOREACH part IN ARRAY etags LOOP
    part := btrim(part, '"');
    IF part IS NULL OR part !~ '^[0-9a-fA-F]{32}$' THEN RETURN NULL; END IF;
    bytes := bytes || decode(part, 'hex');
  END LOOP;
  RETURN '"' || md5(bytes) || '-' || cardinality(etags) || '"';
END $$;

-- A chunk arrived for a session that is no longer pending. 'same' means the same bytes as stored.
CREATE FUNCTION late_chunk(p_status upload_status, p_same boolean, p_empty boolean) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN p_status = 'aborted' THEN 'aborted'
    WHEN p_status = 'failed' THEN CASE WHEN p_same THEN 'requeued' ELSE 'failed' END
    WHEN p_status = 'completed' THEN CASE WHEN p_same OR p_empty THEN 'done' ELSE 'conflict' END
    ELSE CASE WHEN p_same OR p_empty THEN 'join' ELSE 'not_open' END
  END
$$;

-- Record one received chunk; when it completes the upload, the state changes and a job is made whose
-- lease the caller holds. A null location means that nothing was stored for it.
CREATE FUNCTION accept_chunk(
  p_upload uuid, p_user uuid, p_index int, p_size int, p_checksum text, p_location text, p_etag text,
  p_mime text, p_owner text, p_lease interval, p_ttl interval,
  OUT outcome text, OUT state upload_status, OUT received bigint, OUT replaced text, OUT missing int[],
  OUT job_step text, OUT job_etag text, OUT store_upload text,
  OUT sizes int[], OUT locations text[], OUT etags text[]
) LANGUAGE plpgsql AS $$
DECLARE
  s upload_sessions; old upload_chunks; chunks int; top int; full_now boolean; regular boolean;
BEGIN
  SELECT * INTO s FROM upload_sessions u
    WHERE u.upload_uuid = p_upload AND u.user_id = p_user FOR NO KEY UPDATE;
  IF NOT FOUND THEN outcome := 'gone'; RETURN; END IF;
  SELECT * INTO old FROM upload_chunks c WHERE c.session_id = s.id AND c.chunk_index = p_index;
  state := s.status; received := s.received_bytes; store_upload := s.storage_upload_id;

  IF s.status <> 'pending' THEN
    outcome := late_chunk(s.status, coalesce(old.checksum = p_checksum AND p_size > 0, false), p_size = 0);
    IF outcome = 'requeued' THEN
      state := 'assembling';
      UPDATE upload_sessions u SET status = 'assembling', updated_at = now() WHERE u.id = s.id;
      UPDATE finalise_jobs j SET state = 'running', attempts = 1, lease_owner = p_owner,
          lease_until = now() + p_lease, updated_at = now() WHERE j.session_id = s.id;
    END IF;
    RETURN;
  END IF;

  IF p_size = 0 THEN
    outcome := CASE WHEN old.session_id IS NULL THEN 'empty' ELSE 'conflict' END; RETURN;
  ELSIF old.checksum = p_checksum AND old.size_bytes = p_size THEN
    outcome := 'duplicate'; RETURN;
  ELSIF p_location IS NULL THEN
    outcome := 'send_again'; RETURN;  -- it was the same as a stored one, which was replaced meanwhile
  END IF;

  received := s.received_bytes - coalesce(old.size_bytes, 0) + p_size;
  chunks := s.received_chunks + CASE WHEN old.session_id IS NULL THEN 1 ELSE 0 END;
  top := greatest(s.max_chunk_index, p_index);
  full_now := received = s.file_size_bytes;
  IF received > s.file_size_bytes THEN
    outcome := 'too_large'; received := s.received_bytes; RETURN;
  ELSIF full_now AND chunks <> top + 1 THEN
    outcome := 'gap'; received := s.received_bytes;
    missing := ARRAY(SELECT i FROM generate_series(0, top) i WHERE i <> p_index AND NOT EXISTS
      (SELECT FROM upload_chunks c WHERE c.session_id = s.id AND c.chunk_index = i) ORDER BY i LIMIT 100);
    RETURN;
  ELSIF p_location LIKE 'part:%' AND p_size < 5242880 AND NOT (full_now AND p_index = top) THEN
    outcome := 'send_again'; received := s.received_bytes; RETURN;  -- the store takes a short part only last
  ELSIF p_location = 'final' AND NOT full_now THEN
    outcome := 'send_again'; received := s.received_bytes; RETURN;
  END IF;

  INSERT INTO upload_chunks AS c (session_id, chunk_index, size_bytes, checksum, location, etag)
    VALUES (s.id, p_index, p_size, p_checksum, p_location, p_etag)
    ON CONFLICT (session_id, chunk_index) DO UPDATE SET size_bytes = EXCLUDED.size_bytes,
      checksum = EXCLUDED.checksum, location = EXCLUDED.location, etag = EXCLUDED.etag, uploaded_at = now();
  outcome := CASE WHEN old.session_id IS NULL THEN 'stored' ELSE 'replaced' END;
  replaced := old.location;
  state := CASE WHEN full_now THEN 'assembling'::upload_status ELSE 'pending' END;
  UPDATE upload_sessions u SET received_bytes = received, received_chunks = chunks, max_chunk_index = top,
      status = state, mime_type = coalesce(u.mime_type, p_mime), updated_at = now(),
      expires_at = CASE WHEN u.expires_at < now() + p_ttl / 2 THEN now() + p_ttl ELSE u.expires_at END
    WHERE u.id = s.id;
  IF NOT full_now THEN RETURN; END IF;

  IF chunks = 1 THEN
    sizes := ARRAY[p_size]; locations := ARRAY[p_location]; etags := ARRAY[p_etag];
    job_step := CASE WHEN p_location = 'final' THEN 'register' ELSE 'assemble' END;
    job_etag := CASE WHEN p_location = 'final' THEN p_etag END;
  ELSE
    SELECT array_agg(c.size_bytes ORDER BY c.chunk_index), array_agg(c.location ORDER BY c.chunk_index),
           array_agg(c.etag ORDER BY c.chunk_index),
           bool_and(c.location LIKE 'part:%' OR (c.chunk_index = top AND c.location LIKE 'temp:%'))
      INTO sizes, locations, etags, regular FROM upload_chunks c WHERE c.session_id = s.id;
    job_step := CASE WHEN regular THEN 'store' ELSE 'assemble' END;
    job_etag := CASE WHEN regular THEN multipart_etag(etags) END;
  END IF;
  IF s.finalise_mode <> 'detached' THEN
    INSERT INTO finalise_jobs (session_id, state, step, etag, attempts, lease_owner, lease_until)
      VALUES (s.id, 'running', job_step, job_etag, 1, p_owner, now() + p_lease);
  END IF;
END $$;

-- The client says that a direct upload is complete: take the state and the job, return the parts.
CREATE FUNCTION complete_begin(
  p_upload uuid, p_user uuid, p_method upload_method, p_etag text, p_owner text, p_lease interval,
  OUT outcome text, OUT session upload_sessions, OUT missing int[],
  OUT job_step text, OUT job_etag text,
  OUT numbers int[], OUT sizes bigint[], OUT etags text[]
) LANGUAGE plpgsql AS $$
BEGIN
  SELECT * INTO session FROM upload_sessions u
    WHERE u.upload_uuid = p_upload AND u.user_id = p_user FOR NO KEY UPDATE;
  IF NOT FOUND THEN outcome := 'gone'; RETURN;
  ELSIF session.upload_method <> p_method THEN outcome := 'wrong_method'; RETURN;
  ELSIF session.status = 'completed' THEN outcome := 'done'; RETURN;
  ELSIF session.status = 'aborted' THEN outcome := 'aborted'; RETURN;
  ELSIF session.status = 'completing' THEN outcome := 'join'; RETURN;
  END IF;

  SELECT array_agg(m.part_number ORDER BY m.part_number), array_agg(m.size_bytes ORDER BY m.part_number),
         array_agg(m.etag ORDER BY m.part_number)
    INTO numbers, sizes, etags FROM multipart_parts m WHERE m.session_id = session.id;
  IF p_method = 'multipart' AND coalesce(cardinality(numbers), 0) < session.total_chunks THEN
    outcome := 'missing';
    missing := ARRAY(SELECT n FROM generate_series(1, session.total_chunks) n
      WHERE n <> ALL (coalesce(numbers, '{}')) ORDER BY n LIMIT 100);
    RETURN;
  END IF;

  outcome := 'begun'; job_step := 'verify';
  job_etag := CASE WHEN p_method = 'multipart' THEN multipart_etag(etags) ELSE p_etag END;
  INSERT INTO finalise_jobs AS j (session_id, state, step, etag, attempts, lease_owner, lease_until)
    VALUES (session.id, 'running', job_step, job_etag, 1, p_owner, now() + p_lease)
    ON CONFLICT (session_id) DO UPDATE SET state = 'running', attempts = 1, step = EXCLUDED.step,
      etag = EXCLUDED.etag, lease_owner = p_owner, lease_until = now() + p_lease, updated_at = now();
  UPDATE upload_sessions u SET status = 'completing', updated_at = now() WHERE u.id = session.id;
END $$;
