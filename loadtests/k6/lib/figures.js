// What k6 pushes about the uploads. Its own figures of iterations come when one ends, and here one iteration
// is the whole load of a VU.

import { Counter, Trend } from 'k6/metrics';
import { config } from './config.js';

const uploads = new Counter('uploads');
const uploadTime = new Trend('upload_time', true);
const lateness = new Trend('lateness', true);

/**
 * How a request is sent and which tags it has: which step it is, and of which arm. Without keep-alive every request
 * takes a connection of its own: the client says so in `headers`, and closes it.
 */
export function paramsOf(arm, step, headers, responseType) {
  if (!arm.keep_alive) headers.Connection = 'close';
  const tags = { name: step, role: 'load', arm: arm.name };
  return { headers, tags, timeout: config.timeout, responseType };
}

/** An upload that ended; those that failed have no time. */
export function ended(arm, flow, ok) {
  uploads.add(1, { arm: arm.name, result: ok ? 'acknowledged' : 'failed' });
  if (ok) uploadTime.add(Date.now() - flow.startedAt, { arm: arm.name });
}

/** How long after it was due an open arrival began. */
export function began(arm, due) {
  if (due !== null) lateness.add(Math.max(0, Date.now() - due), { arm: arm.name });
}
