// GoVault's client, played unchanged: its set-up, its pauses, its pieces, its zeros, its checks.
//
// It proves that clients written for GoVault work here. Nothing is measured with it: the file is the same
// every time, both methods pause differently, and an iteration that ends early still counts as one.

import http from 'k6/http';
import crypto from 'k6/crypto';
import { check, sleep } from 'k6';

const GATEWAY = __ENV.GATEWAY_URL || 'http://localhost:9000';
const SCALE = Number(__ENV.SCALE || '0.1');
const METHOD = __ENV.UPLOAD_METHOD || 'multipart';
const PROFILE = __ENV.PROFILE || 'stress';
const TIME = Number(__ENV.TIME || '1'); // factor on the lengths of the stages, for a quick check

const PROXY_CHUNK_BYTES = 10 * 1024 * 1024;
const PART_BYTES = 100 * 1024 * 1024;
const FILE = new ArrayBuffer(1024 * 1024);
const FILE_NAME = 'testfile.bin';

const SHAPES = {
  load: [[60, 200], [180, 200], [60, 0]],
  stress: [[60, 250], [60, 500], [60, 750], [120, 1000], [60, 0]],
  spike: [[10, 0], [20, 2000], [60, 2000], [20, 0]],
};

const USERS = Math.round(Number(__ENV.USERS || Math.round(1000 * SCALE)));

export const options = {
  setupTimeout: '8m',
  scenarios: {
    visits: {
      executor: 'ramping-vus',
      startVUs: 0,
      stages: SHAPES[PROFILE].map(([seconds, vus]) => ({
        duration: `${Math.round(seconds * TIME * 1000)}ms`,
        target: Math.round(vus * SCALE),
      })),
    },
  },
  systemTags: ['name', 'status', 'scenario', 'check', 'group'], // the summary counts checks by the last two
};

const json = { 'Content-Type': 'application/json' };
const withToken = (token, more) => ({ Authorization: `Bearer ${token}`, ...more });
const is200 = (response) => response.status === 200;

export function setup() {
  const users = [];
  for (let i = 1; i <= USERS; i += 1) {
    const email = `test-${i}@govault.com`;
    const account = { username: `user_${i}`, email, password: 'Test@1234' };
    const body = JSON.stringify(account);
    const signup = http.post(`${GATEWAY}/auth/signup`, body, { headers: json });
    check(signup, { 'signup status is 200': is200 });
    sleep(0.1);
    const login = http.post(`${GATEWAY}/auth/login`, body, { headers: json });
    users.push({ email, password: account.password, token: login.json('token') });
  }
  return { users };
}

export default function iteration(data) {
  const user = data.users[(__VU - 1) % data.users.length];
  const credentials = JSON.stringify({ email: user.email, password: user.password });
  const login = http.post(`${GATEWAY}/auth/login`, credentials, { headers: json });
  check(login, { 'login 200': is200, 'has token': (r) => Boolean(r.json('token')) });
  sleep(1);
  const files = http.get(`${GATEWAY}/api/files/me/owned`, { headers: withToken(user.token) });
  check(files, { 'files 200': is200 });
  sleep(1);
  if (METHOD === 'proxy') throughProxy(user.token);
  else inParts(user.token);
}

function throughProxy(token) {
  const facts = { file_name: FILE_NAME, file_size_bytes: FILE.byteLength };
  const session = http.post(`${GATEWAY}/api/upload/proxy/session`, JSON.stringify(facts), {
    headers: withToken(token, json),
  });
  if (!check(session, { 'proxy session 200': is200 })) return;
  const uploadUuid = session.json('upload_uuid');
  for (let start = 0, i = 0; start < FILE.byteLength; start += PROXY_CHUNK_BYTES, i += 1) {
    const chunk = FILE.slice(start, start + PROXY_CHUNK_BYTES);
    const response = http.post(`${GATEWAY}/api/upload/proxy/chunk?id=${i}`, chunk, {
      headers: withToken(token, {
        'Content-Type': 'application/octet-stream',
        'Upload-UUID': uploadUuid,
        Checksum: crypto.sha256(chunk, 'hex'),
      }),
    });
    check(response, { [`proxy chunk ${i} 200`]: is200 });
  }
}

function inParts(token) {
  const headers = withToken(token, json);
  const facts = { file_name: FILE_NAME, file_size_bytes: FILE.byteLength, part_size_bytes: PART_BYTES };
  const session = http.post(`${GATEWAY}/api/upload/multipart/session`, JSON.stringify(facts), {
    headers,
    tags: { name: 'multipart_session_init' },
  });
  if (!check(session, { 'multipart session 200': is200 })) return;
  const { upload_uuid: uploadUuid, parts } = session.json();
  for (let start = 0, k = 1; start < FILE.byteLength; start += PART_BYTES, k += 1) {
    const part = FILE.slice(start, start + PART_BYTES);
    const put = http.put(parts[k - 1].url, part, { tags: { name: 's3_part_put' } });
    check(put, { [`part ${k} s3 200`]: is200 });
    const registration = {
      upload_uuid: uploadUuid,
      part_number: k,
      size_bytes: part.byteLength,
      etag: put.headers.Etag,
    };
    const registered = http.post(`${GATEWAY}/api/upload/multipart/part`, JSON.stringify(registration), {
      headers,
      tags: { name: 'register_part' },
    });
    check(registered, { [`part ${k} registered`]: is200 });
  }
  sleep(0.2);
  const complete = http.post(`${GATEWAY}/api/upload/multipart/complete`, JSON.stringify({ upload_uuid: uploadUuid }), {
    headers,
    tags: { name: 'multipart_complete' },
  });
  check(complete, { 'multipart complete 200': is200 });
}

export function handleSummary(summary) {
  return __ENV.SUMMARY ? { [__ENV.SUMMARY]: JSON.stringify(summary) } : {};
}
