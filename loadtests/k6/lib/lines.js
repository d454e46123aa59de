// What leaves k6 while it runs: one JSON line per intent, outcome and timed step. A killed k6 loses
// nothing that was decided before it died.

import { config } from './config.js';

export function started() {
  console.log(JSON.stringify({ e: 's', t: Date.now() }));
}

export function intent(row, userIndex, due) {
  const line = { e: 'i', due, ref: row.ref, t: Date.now(), u: userIndex, n: config.fileBytes, h: row.sha256, s: config.strategy };
  console.log(JSON.stringify(line));
}

export function outcome(row, flow, failure) {
  console.log(
    JSON.stringify({
      e: 'o',
      ref: row.ref,
      ok: failure === null,
      id: flow.uploadUuid,
      t0: flow.startedAt,
      t1: flow.authorisedAt,
      t2: flow.transferredAt,
      t3: Date.now(),
      step: failure === null ? null : failure.step,
      st: failure === null ? null : failure.status,
      code: failure === null ? null : failure.code,
    }),
  );
}

// A request of an upload, for showing one upload: never written under load.
export function request(name, response, fileBytes) {
  const t = response.timings;
  const d = t.blocked + t.connecting + t.duration;
  const to = response.url.startsWith(config.gateway) ? 'gateway' : 'store';
  console.log(JSON.stringify({ e: 'q', step: name, t: Date.now() - d, d, n: fileBytes, to }));
}

// Connecting and waiting for a connection are part of what a user waits for.
export function step(name, startedAt, response, ok, due = null) {
  const t = response.timings;
  const duration = t.blocked + t.connecting + t.duration;
  console.log(JSON.stringify({ e: 'r', step: name, t: startedAt, d: duration, st: response.status, ok, due }));
}
