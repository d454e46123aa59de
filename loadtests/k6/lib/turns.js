// Whose turn it is: the periods of a stretch as one VU goes through them.

import { sleep } from 'k6';
import { config } from './config.js';
import * as control from './control.js';

// Longer sleeps ask in between whether the stretch was cut: many VUs each less often, or the asking would be a load.
const LOOK_EVERY_MS = Math.max(1000, 20 * config.uploadVus);

/** Sleep until an instant; false where the stretch was cut meanwhile. */
export function sleepUntil(atMs) {
  for (;;) {
    const leftMs = atMs - Date.now();
    if (leftMs <= 0) return true;
    sleep(Math.min(leftMs, LOOK_EVERY_MS) / 1000);
    if (leftMs > LOOK_EVERY_MS && control.isCut()) return false;
  }
}

/** Every period in its turn: {arm, beginMs, endMs}. The first one has what comes before the periods too. */
export function* periods(stretch) {
  for (let at = 0; at < stretch.order.length; at += 1) {
    const endMs = stretch.t0_ms + (at + 1) * stretch.period_ms;
    const beginMs = at === 0 ? stretch.begin_ms : endMs - stretch.period_ms;
    yield { arm: stretch.arms[stretch.order[at]], beginMs, endMs };
  }
}

// A number in 0..1 that depends on the seed and the counter only: the same in all arms.
function seeded(counter) {
  return ((Math.imul(counter + 1, 0x9e3779b1) ^ Math.imul(config.seed, 0x85ebca6b)) >>> 0) / 4294967296;
}

/**
 * When the open arrivals of one period are due that belong to worker `me` of `workers`, in ms. Arrival i of a
 * stretch is due at its begin + (i + part) / rate; `spread` says which seeded part of an interval is added, 0 none:
 * even arrivals of two kinds would meet at the same instant for the whole stretch.
 */
export function* arrivals(stretch, period, ratePerS, me, workers, spread = 0) {
  const intervalMs = 1000 / ratePerS;
  let index = Math.ceil((period.beginMs - stretch.begin_ms) / intervalMs);
  for (; stretch.begin_ms + index * intervalMs < period.endMs; index += 1) {
    if (index % workers === me) yield stretch.begin_ms + (index + (spread > 0 ? seeded(index * 2 + spread) : 0)) * intervalMs;
  }
}
