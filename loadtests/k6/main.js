// The load of one trial. Which strategy, which shape and which tables: see lib/config.js.

import http from 'k6/http';
import exec from 'k6/execution';
import { check, sleep } from 'k6';
import { config } from './lib/config.js';
import * as data from './lib/data.js';
import * as lines from './lib/lines.js';
import { Flow, StepFailed } from './lib/flow.js';
import * as scenarios from './lib/scenarios.js';

// A strategy is found by its path, so that a new folder needs no line here.
const strategy = config.strategyScript === '' ? null : require(config.strategyScript);

// A client that just failed waits before its next upload. Without it a fault that answers at once, such as
// a full disk, would be counted thousands of times, and the table of uploads would run out.
const AFTER_FAILURE_S = 0.5;

export const options = scenarios.options(config.strategy === 'raw-put' ? 'raw' : 'one');

// The load begins now: all VUs are made, none has run.
export function setup() {
  lines.started();
}

// A number in 0..1 that depends on the seed and the counter only: the same in both arms of a pair.
function seeded(counter) {
  return ((Math.imul(counter + 1, 0x9e3779b1) ^ Math.imul(config.seed, 0x85ebca6b)) >>> 0) / 4294967296;
}

// When an arrival was due, in ms: k6 spaces arrivals evenly and keeps that to itself. `part` of an interval is
// added where arrivals are spread by seed. A closed loop has no schedule.
function due(ratePerS, part) {
  if (!(ratePerS > 0)) return null;
  return exec.scenario.startTime + ((exec.scenario.iterationInTest + part) * 1000) / ratePerS;
}

const uploadRate = config.executor === 'constant-arrival-rate' ? config.rate : 0;

// VUs that start together would send their first uploads in one burst and stay in step for a while.
function startOffset() {
  if (config.startSpreadMs > 0 && exec.vu.iterationInScenario === 0) {
    sleep((seeded(exec.vu.idInTest) * config.startSpreadMs) / 1000);
  }
}

export function one() {
  startOffset();
  const index = data.userIndex();
  const identity = data.user(index);
  if (config.loginEach || config.journey) logIn(identity);
  if (config.journey) {
    sleep(config.thinkS / 2);
    listFiles(identity);
    sleep(config.thinkS / 2);
  }
  transfer(data.nextRow(), index, identity);
}

function transfer(row, index, identity) {
  lines.intent(row, index, due(uploadRate, 0));
  const flow = new Flow(row, identity);
  try {
    strategy.upload(flow);
    lines.outcome(row, flow, null);
  } catch (error) {
    const failure = error instanceof StepFailed ? error : new StepFailed('script', 0, String(error));
    lines.outcome(row, flow, failure);
    sleep(AFTER_FAILURE_S);
  }
}

function logIn(identity, dueAt = null) {
  const startedAt = Date.now();
  const body = JSON.stringify({ email: identity.email, password: identity.password });
  const response = http.post(`${config.gateway}/auth/login`, body, {
    headers: { 'Content-Type': 'application/json' },
    tags: { name: 'login' },
    timeout: config.timeout,
    responseType: 'text',
  });
  const ok = check(response, { 'login 200': (r) => r.status === 200 });
  lines.step('login', startedAt, response, ok, dueAt);
}

function listFiles(identity, dueAt = null) {
  const startedAt = Date.now();
  const response = http.get(`${config.gateway}/api/files/me/owned`, {
    headers: { Authorization: `Bearer ${identity.token}` },
    tags: { name: 'list' },
    timeout: config.timeout,
    responseType: 'none',
  });
  const ok = check(response, { 'list 200': (r) => r.status === 200 });
  lines.step('list', startedAt, response, ok, dueAt);
}

// Even arrivals of two kinds would meet at the same instant for a whole trial: each waits a seeded
// part of one interval before its first timed request.
export function login() {
  const part = seeded(exec.scenario.iterationInTest);
  const dueAt = due(config.loginRate, part);
  sleep(part / config.loginRate);
  logIn(data.user(data.userIndex()), dueAt);
}

export function list() {
  const part = seeded(exec.scenario.iterationInTest + 7919);
  const dueAt = due(config.listRate, part);
  sleep(part / config.listRate);
  listFiles(data.user(data.userIndex()), dueAt);
}

// The reference: the same bytes, presigned by the harness, straight into the store.
export function raw() {
  startOffset();
  const row = data.nextRow();
  const [piece] = data.pieces(row, config.fileBytes);
  const startedAt = Date.now();
  const response = http.put(row.url, piece.body, { tags: { name: 'put' }, timeout: config.timeout, responseType: 'text' });
  const ok = check(response, { 'put 200': (r) => r.status === 200 });
  lines.step('put', startedAt, response, ok);
}

export function handleSummary(summary) {
  return config.summary === '' ? {} : { [config.summary]: JSON.stringify(summary) };
}
