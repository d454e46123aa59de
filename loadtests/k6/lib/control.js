// The harness, asked by every VU. When it is gone, the next question fails and the VU ends.

import http from 'k6/http';
import { config } from './config.js';

// Longer than the harness holds a question back.
const TIMEOUT = '60s';

function ask(path, responseType) {
  const response = http.get(config.control + path, { tags: { name: 'control' }, timeout: TIMEOUT, responseType });
  return response.status === 200 ? response : null;
}

/** The stretch that follows `after` as this VU plays it, or null at the end. Answered when it is released. */
export function nextStretch(after, vu) {
  for (;;) {
    const response = ask(`/stretch?after=${after}&vu=${vu}`, 'text');
    const answer = response === null ? { end: true } : response.json();
    if (answer.end) return null;
    if (!answer.wait) return answer;
  }
}

/** Rows of one kind of file, or null where the stretch was cut. */
export function rows(kind) {
  const response = ask(`/rows?kind=${kind}`, 'text');
  const answer = response === null ? { cut: true } : response.json();
  return answer.cut ? null : answer.rows;
}

/** Whether the stretch is to end before its order does. */
export function isCut() {
  const response = ask('/cut', 'text');
  return response === null || response.json().cut;
}

/** The shared bytes of all files of one size. */
export function pattern(sizeBytes) {
  const response = ask(`/pattern?bytes=${sizeBytes}`, 'binary');
  return response === null ? null : response.body;
}
