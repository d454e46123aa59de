-- Files that come whole, in one request. While such a file is received, expires_at is its sender's lease:
-- short, and renewed by the process that receives it. Nothing of it can be sent later, so when the lease
-- has run out the upload is over.

-- The idempotency key of an upload whose file did not come: another upload may have it, and whoever audits
-- still sees which one this was an attempt at.
ALTER TABLE upload_sessions ADD COLUMN returned_key text;

-- A new upload, or the one of the same idempotency key. A key whose upload was never received and has no
-- sender any more is free again: what broke off left nothing behind. An upload that failed although its
-- bytes are stored goes on, with its job leased to the caller.
CREATE FUNCTION open_file(
  p_upload uuid, p_user uuid, p_method upload_method, p_name text, p_mime text, p_size bigint,
  p_checksum text, p_key text, p_storage_key text, p_life interval, p_limit int,
  p_owner text, p_lease interval,
  OUT outcome text, OUT session upload_sessions
) LANGUAGE plpgsql AS $$
BEGIN
  LOOP
    IF p_key IS NOT NULL THEN
      SELECT * INTO session FROM upload_sessions u
        WHERE u.user_id = p_user AND u.idempotency_key = p_key FOR NO KEY UPDATE;
      IF FOUND AND NOT (session.upload_method IN ('file', 'batch') AND session.status = 'pending'
                        AND session.expires_at <= now()) THEN
        -- Whoever did not say a size or a checksum does not contradict one.
        IF session.upload_method <> p_method OR session.file_name <> p_name
          OR session.file_size_bytes <> p_size OR session.checksum <> p_checksum
        THEN outcome := 'conflict';
        ELSIF session.status = 'failed' AND session.expires_at > now() THEN
          outcome := 'requeued';
          UPDATE upload_sessions u SET status = 'completing', updated_at = now(), job_attempts = 1,
              job_acquired = u.job_acquired + 1, job_interrupted = 0, job_due_at = now() + p_lease,
              lease_owner = p_owner
            WHERE u.id = session.id RETURNING u.* INTO session;
        ELSE outcome := 'repeated';
        END IF;
        RETURN;
      ELSIF FOUND THEN
        UPDATE upload_sessions u SET status = 'aborted', ended_at = clock_timestamp(), updated_at = now(),
            clean_after = now() + interval '120 s', idempotency_key = NULL, returned_key = p_key
          WHERE u.id = session.id;
      END IF;
    END IF;

    IF p_limit <= (SELECT count(*) FROM (
        SELECT FROM upload_sessions u WHERE u.user_id = p_user AND u.ended_at IS NULL
          AND standing(u.upload_method, u.status, u.expires_at) NOT IN ('failed', 'aborted')
          LIMIT p_limit) counted) THEN
      session := NULL; outcome := 'full';
      RETURN;
    END IF;
    INSERT INTO upload_sessions AS u (upload_uuid, user_id, upload_method, file_name, mime_type,
        file_size_bytes, checksum, total_chunks, idempotency_key, storage_key, expires_at)
      VALUES (p_upload, p_user, p_method, p_name, p_mime, p_size, p_checksum, 1, p_key, p_storage_key,
        now() + p_life)
      ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
      RETURNING u.* INTO session;
    IF FOUND THEN
      outcome := 'created';
      RETURN;
    END IF;
    -- The same key was inserted between our look and our insert: look again.
  END LOOP;
END $$;
