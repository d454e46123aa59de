// One round of GoVault's client, played unchanged: its requests, its pauses, its pieces, its zeros, its checks.
//
// Whoever watches is told of every request and of the upload, and may add headers to the request that begins it.

import http from 'k6/http';
import crypto from 'k6/crypto';
import { check, sleep } from 'k6';

export const GATEWAY = __ENV.GATEWAY_URL || 'http://localhost:9000';
export const FILE = new ArrayBuffer(1024 * 1024);
const METHOD = __ENV.UPLOAD_METHOD || 'multipart';
const PROXY_CHUNK_BYTES = 10 * 1024 * 1024;
const PART_BYTES = 100 * 1024 * 1024;
const FILE_NAME = 'testfile.bin';

export const json = { 'Content-Type': 'application/json' };
export const is200 = (response) => response.status === 200;
const withToken = (token, more) => ({ Authorization: `Bearer ${token}`, ...more });

/** Watches nothing. */
export const NOBODY = { sent: (step, send) => send(), began: () => ({}), ended: () => {} };

export function visit(user, watch) {
  const credentials = JSON.stringify({ email: user.email, password: user.password });
  const login = watch.sent('login', () => http.post(`${GATEWAY}/auth/login`, credentials, { headers: json }));
  check(login, { 'login 200': is200, 'has token': (r) => Boolean(r.json('token')) });
  sleep(1);
  const files = watch.sent('list', () =>
    http.get(`${GATEWAY}/api/files/me/owned`, { headers: withToken(user.token) }),
  );
  check(files, { 'files 200': is200 });
  sleep(1);
  if (METHOD === 'proxy') throughProxy(user.token, watch);
  else inParts(user.token, watch);
}

function throughProxy(token, watch) {
  const facts = { file_name: FILE_NAME, file_size_bytes: FILE.byteLength };
  const headers = withToken(token, { ...json, ...watch.began() });
  const session = watch.sent('session', () =>
    http.post(`${GATEWAY}/api/upload/proxy/session`, JSON.stringify(facts), { headers }),
  );
  if (!check(session, { 'proxy session 200': is200 })) {
    watch.ended(null, { step: 'session', response: session });
    return;
  }
  const uploadUuid = session.json('upload_uuid');
  let failed = null;
  for (let start = 0, i = 0; start < FILE.byteLength; start += PROXY_CHUNK_BYTES, i += 1) {
    const chunk = FILE.slice(start, start + PROXY_CHUNK_BYTES);
    const params = {
      headers: withToken(token, {
        'Content-Type': 'application/octet-stream',
        'Upload-UUID': uploadUuid,
        Checksum: crypto.sha256(chunk, 'hex'),
      }),
    };
    const response = watch.sent('chunk', () => http.post(`${GATEWAY}/api/upload/proxy/chunk?id=${i}`, chunk, params));
    if (!check(response, { [`proxy chunk ${i} 200`]: is200 })) failed = { step: 'chunk', response };
  }
  watch.ended(uploadUuid, failed);
}

function inParts(token, watch) {
  const headers = withToken(token, json);
  const facts = { file_name: FILE_NAME, file_size_bytes: FILE.byteLength, part_size_bytes: PART_BYTES };
  const session = begun(facts, { ...headers, ...watch.began() }, watch);
  if (!check(session, { 'multipart session 200': is200 })) {
    watch.ended(null, { step: 'session', response: session });
    return;
  }
  const { upload_uuid: uploadUuid, parts } = session.json();
  for (let start = 0, k = 1; start < FILE.byteLength; start += PART_BYTES, k += 1) {
    const part = FILE.slice(start, start + PART_BYTES);
    const put = watch.sent('put', () => http.put(parts[k - 1].url, part, { tags: { name: 's3_part_put' } }));
    check(put, { [`part ${k} s3 200`]: is200 });
    const registration = JSON.stringify({
      upload_uuid: uploadUuid,
      part_number: k,
      size_bytes: part.byteLength,
      etag: put.headers.Etag,
    });
    const params = { headers, tags: { name: 'register_part' } };
    const registered = watch.sent('register', () =>
      http.post(`${GATEWAY}/api/upload/multipart/part`, registration, params),
    );
    check(registered, { [`part ${k} registered`]: is200 });
  }
  sleep(0.2);
  const complete = watch.sent('complete', () =>
    http.post(`${GATEWAY}/api/upload/multipart/complete`, JSON.stringify({ upload_uuid: uploadUuid }), {
      headers,
      tags: { name: 'multipart_complete' },
    }),
  );
  const done = check(complete, { 'multipart complete 200': is200 });
  watch.ended(uploadUuid, done ? null : { step: 'complete', response: complete });
}

function begun(facts, headers, watch) {
  const params = { headers, tags: { name: 'multipart_session_init' } };
  return watch.sent('session', () =>
    http.post(`${GATEWAY}/api/upload/multipart/session`, JSON.stringify(facts), params),
  );
}
