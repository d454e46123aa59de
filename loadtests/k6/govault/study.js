// GoVault's study: its stress ramp to one level, its rounds, under users that the harness signed up before.
//
// Everything leaves k6 as one JSON line while it runs, in the form of lib/lines.js: the ledger reads intents and
// outcomes, the table and the funnel read the requests ("q"). The requests are GoVault's; only the one that begins
// an upload says its reference too, so that the ledger can find what a lost answer left.

import crypto from 'k6/crypto';
import { SharedArray } from 'k6/data';
import { FILE, visit } from './journey.js';
import { ramp } from './ramp.js';

// One copy for all VUs: GoVault's set-up gives each VU a copy of all users, which is no part of what it measures.
const users = new SharedArray('users', () => JSON.parse(open(__ENV.USERS_FILE)));
const NUMBER = Number(__ENV.RAMP); // of this ramp in the lines
const DIGEST = crypto.sha256(FILE, 'hex');

export const options = {
  scenarios: { visits: ramp('stress', Number(__ENV.SCALE), Number(__ENV.TIME)) },
  hosts: JSON.parse(__ENV.HOSTS || '{}'),
  systemTags: ['name', 'scenario', 'status'],
  summaryTrendStats: ['med', 'p(95)'],
};

export default function round() {
  const index = (__VU - 1) % users.length;
  visit(users[index], watcher(index));
}

function watcher(index) {
  const ref = `${__ENV.PREFIX}.${__VU}-${__ITER}`;
  const tell = (line) => console.log(JSON.stringify({ ...line, s: NUMBER, a: 0, u: index }));
  const at = { began: null, authorised: null };
  tell({ e: 'q', step: 'round', t: Date.now() });
  return {
    sent(step, send) {
      const t = Date.now();
      const response = send();
      const { duration } = response.timings; // without waiting for a connection, as GoVault's table has it
      tell({ e: 'q', step, t, d: duration, st: response.status, c: codeOf(response) });
      if (step === 'session') at.authorised = Date.now();
      return response;
    },
    began() {
      at.began = Date.now();
      tell({ e: 'i', ref, t: at.began, n: FILE.byteLength, h: DIGEST, due: null });
      return { 'Idempotency-Key': ref };
    },
    ended(uploadUuid, failed) {
      const why = failed === null ? { step: null, st: null, code: null } : failureOf(failed);
      tell({ e: 'o', ref, ok: failed === null, id: uploadUuid, t0: at.began, t1: at.authorised, t2: null, t3: Date.now(), ...why });
    },
  };
}

// A broken connection has k6's own code; an answer has its status.
function codeOf(response) {
  return response.status === 0 ? `transport-${response.error_code}` : null;
}

function failureOf({ step, response }) {
  return { step, st: response.status, code: codeOf(response) };
}

export function handleSummary(summary) {
  return { [__ENV.SUMMARY]: JSON.stringify(summary) };
}
