// The load of a whole run. Every VU asks the harness for the next stretch, plays it until its order is
// exhausted, and asks again: so the harness knows when all are idle. Nothing restarts between the turns.

import http from 'k6/http';
import exec from 'k6/execution';
import { check, sleep } from 'k6';
import { config } from './lib/config.js';
import * as control from './lib/control.js';
import * as data from './lib/data.js';
import * as figures from './lib/figures.js';
import * as lines from './lib/lines.js';
import { download, mayGoOn } from './lib/download.js';
import { Flow, failureOf } from './lib/flow.js';
import { arrivals, periods, sleepUntil } from './lib/turns.js';

// A strategy is found by its path, so that a new folder needs no line here.
const strategies = {};
for (const [name, path] of Object.entries(config.strategies)) strategies[name] = require(path);

// A client that just failed waits before its next file. Without it a fault that answers at once, such as
// a full disk, would be counted thousands of times.
const AFTER_FAILURE_S = 0.5;
// Where more may arrive than fits, an arrival whose client is still busy is dropped: else clients would form a
// queue of their own, without an end.
const TOO_LATE_MS = 50;

export const options = {
  scenarios: {
    load: {
      executor: 'per-vu-iterations',
      vus: config.uploadVus + config.loginVus + config.listVus,
      iterations: 1,
      maxDuration: '24h', // the harness says when it ends
      gracefulStop: '0s',
    },
  },
  hosts: config.hosts,
  // Without the URL tag: every presigned URL would become a time series of its own.
  systemTags: ['name', 'scenario', 'status'],
  summaryTrendStats: ['med', 'p(95)', 'count'],
  // No limits: k6 sums up only those tagged figures that a threshold names. Talk with the harness is none.
  thresholds: {
    'http_req_duration{role:load}': ['max>=0'],
    'http_reqs{role:load}': ['count>=0'],
    'http_req_failed{role:load}': ['rate>=0'],
  },
};

export default function vu() {
  const index = exec.vu.idInTest - 1;
  const role = roleOf(index);
  let last = 0;
  for (;;) {
    const stretch = control.nextStretch(last, index);
    if (stretch === null) return;
    last = stretch.n;
    role(stretch);
  }
}

function roleOf(index) {
  const asLogin = index - config.uploadVus;
  const asList = asLogin - config.loginVus;
  if (asLogin < 0) return (stretch) => playUploads(stretch, index);
  if (asList < 0) return (stretch) => playSteps(stretch, stretch.login_rate, asLogin, config.loginVus, 1, logIn);
  return (stretch) => playSteps(stretch, stretch.list_rate, asList, config.listVus, 2, listFiles);
}

const works = (arm, me) => arm.strategy !== null && (arm.rate_per_s !== null || me < arm.vus);
const uploads = (arm) => arm.download === null;
// What a client of the arm needs before its next request; false where the stretch was cut.
const ready = (arm) => (uploads(arm) ? data.stocked(arm) : mayGoOn());

function act(stretch, arm, due) {
  if (stretch.login_each) logIn(stretch, arm, null);
  const ok = uploads(arm) ? transfer(stretch, arm, due) : download(stretch, arm, due);
  if (!ok && due === null) sleep(AFTER_FAILURE_S); // open arrivals are no more for it
}

function playUploads(stretch, me) {
  data.prepare(stretch.arms.filter((arm) => works(arm, me) && uploads(arm)));
  if (stretch.uploads > 0) return playCount(stretch, me);
  // Those that begin together are spread, however many of all VUs they are.
  const beginning = Math.max(...stretch.arms.map((arm) => arm.vus)) || config.uploadVus;
  if (!sleepUntil(stretch.begin_ms + (Math.min(me, beginning) * stretch.spread_ms) / beginning)) return undefined;
  for (const period of periods(stretch)) {
    const play = period.arm.rate_per_s === null ? closed : open;
    const goesOn = works(period.arm, me) ? play(stretch, period, me) : true;
    if (!goesOn || !sleepUntil(period.endMs)) return undefined;
  }
  return undefined;
}

// A set number of uploads, one after the other, whatever the clock says: to show one.
function playCount(stretch, me) {
  const [arm] = stretch.arms;
  for (let done = 0; works(arm, me) && done < stretch.uploads && ready(arm); done += 1) act(stretch, arm, null);
}

// The clock is looked at last: asking for rows may take a while.
function closed(stretch, period) {
  for (;;) {
    if (!ready(period.arm)) return false;
    if (Date.now() >= period.endMs) return true;
    act(stretch, period.arm, null);
  }
}

function open(stretch, period, me) {
  for (const due of arrivals(stretch, period, period.arm.rate_per_s, me, config.uploadVus)) {
    if (period.arm.drops && Date.now() > due + TOO_LATE_MS) continue;
    if (!ready(period.arm) || !sleepUntil(due)) return false;
    act(stretch, period.arm, due);
  }
  return true;
}

// Returns whether every file of the request was stored.
function transfer(stretch, arm, due) {
  const rows = data.nextRows(arm);
  rows.forEach((row, at) => {
    // The service gives each file of a batch a key of its own: the request's, and the file's number.
    lines.intent(row, stretch, arm, due, rows.length > 1 ? `${rows[0].ref}/${at}` : null);
  });
  figures.began(arm, due);
  const flow = new Flow(rows, arm);
  try {
    strategies[arm.strategy].upload(flow);
  } catch (error) {
    flow.fail(failureOf(error));
  }
  rows.forEach((row, at) => {
    lines.outcome(row, stretch, arm, flow, at);
    figures.ended(arm, flow, flow.failures[at] === null);
  });
  const ok = flow.failures.every((failure) => failure === null);
  if (ok) readBack(stretch, arm, flow);
  return ok;
}

// What a client does that looks at its file again and again; the upload has ended.
function readBack(stretch, arm, flow) {
  const params = figures.paramsOf(arm, 'read', { Authorization: `Bearer ${flow.token}` }, 'none');
  for (let done = 0; done < arm.reads; done += 1) {
    const startedAt = Date.now();
    const response = http.get(`${arm.gateway}/api/files/f/${flow.uploadUuid}`, params);
    const ok = check(response, { 'read 200': (r) => r.status === 200 });
    lines.step('read', stretch, arm, startedAt, response, ok, null);
  }
}

// Timed requests beside the uploads, at a rate of their own through all turns.
function playSteps(stretch, ratePerS, me, workers, spread, step) {
  if (stretch.uploads > 0 || !(ratePerS > 0)) return;
  for (const period of periods(stretch)) {
    for (const due of arrivals(stretch, period, ratePerS, me, workers, spread)) {
      if (!sleepUntil(due)) return;
      step(stretch, period.arm, due);
    }
  }
}

function logIn(stretch, arm, due) {
  figures.began(arm, due);
  const startedAt = Date.now();
  const body = JSON.stringify({ email: arm.identity.email, password: arm.identity.password });
  const params = figures.paramsOf(arm, 'login', { 'Content-Type': 'application/json' }, 'text');
  const response = http.post(`${arm.gateway}/auth/login`, body, params);
  const ok = check(response, { 'login 200': (r) => r.status === 200 });
  lines.step('login', stretch, arm, startedAt, response, ok, due);
}

function listFiles(stretch, arm, due) {
  figures.began(arm, due);
  const startedAt = Date.now();
  const params = figures.paramsOf(arm, 'list', { Authorization: `Bearer ${arm.identity.token}` }, 'none');
  const response = http.get(`${arm.gateway}/api/files/me/owned`, params);
  const ok = check(response, { 'list 200': (r) => r.status === 200 });
  lines.step('list', stretch, arm, startedAt, response, ok, due);
}

export function handleSummary(summary) {
  return config.summary === '' ? {} : { [config.summary]: JSON.stringify(summary) };
}
