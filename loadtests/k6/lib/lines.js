// What leaves k6 while it runs: one JSON line per intent, outcome, download and timed step. A killed k6 loses
// nothing that was decided before it died. `s` is the stretch, `a` the arm's index in it.

/** `key` is what the upload is known by where that is not its reference: one of several files in a request. */
export function intent(row, stretch, arm, due, key) {
  const line = { e: 'i', s: stretch.n, a: arm.index, u: arm.identity.index, due, ref: row.ref, t: Date.now(), n: arm.file_bytes, h: row.sha256 };
  console.log(JSON.stringify(key === null ? line : { ...line, k: key }));
}

/** The end of the file that is number `at` of its flow. */
export function outcome(row, stretch, arm, flow, at) {
  const failure = flow.failures[at];
  console.log(
    JSON.stringify({
      e: 'o',
      s: stretch.n,
      a: arm.index,
      ref: row.ref,
      ok: failure === null,
      id: flow.ids[at],
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

/** A download that ended. Nothing is stored by one, so nothing is said before; `q` counts requests to the gateway. */
export function download(stretch, arm, due, startedAt, file, got) {
  console.log(
    JSON.stringify({
      e: 'd',
      s: stretch.n,
      a: arm.index,
      u: arm.identity.index,
      due,
      ref: file.id,
      n: arm.file_bytes,
      t0: startedAt,
      t3: Date.now(),
      ok: got.failure === null,
      re: got.resumed,
      q: got.requests,
      step: got.failure === null ? null : got.failure.step,
      st: got.failure === null ? null : got.failure.status,
      code: got.failure === null ? null : got.failure.code,
    }),
  );
}

// A request of an upload, for showing one upload: never written under load.
export function request(name, response, fileBytes, gateway) {
  const t = response.timings;
  const d = t.blocked + t.connecting + t.duration;
  const to = response.url.startsWith(gateway) ? 'gateway' : 'store';
  console.log(JSON.stringify({ e: 'q', step: name, t: Date.now() - d, d, n: fileBytes, to }));
}

// Connecting and waiting for a connection are part of what a user waits for.
export function step(name, stretch, arm, startedAt, response, ok, due) {
  const t = response.timings;
  const duration = t.blocked + t.connecting + t.duration;
  console.log(JSON.stringify({ e: 'r', s: stretch.n, a: arm.index, step: name, t: startedAt, d: duration, st: response.status, ok, due }));
}
