// Clients that download files which were uploaded for them: through the gateway, or from the store with an address
// that the gateway signs. A download counts when its bytes are those that were uploaded.

import http from 'k6/http';
import crypto from 'k6/crypto';
import { check } from 'k6';
import * as control from './control.js';
import { StepFailed, errorCode, failureOf } from './flow.js';
import * as figures from './figures.js';
import * as lines from './lines.js';

// Uploads learn of a cut when they ask for rows; downloads ask for none.
const LOOK_EVERY = 16;
// Of an answer that is an error: enough for its code.
const READ_OF_ERROR_BYTES = 500;
// How much the newest download says about how long one takes.
const NEWEST = 0.25;

// How this VU's downloads of an arm go: {begun, headMs, bodyMs}, by the arm's name; until the first byte, and from
// there to the last.
const known = new Map();
let looked = 0;

/** Whether the stretch still goes on. */
export function mayGoOn() {
  looked += 1;
  return looked % LOOK_EVERY !== 0 || !control.isCut();
}

/** Every file of the arm's stock, once. Returns whether all arrived as they were uploaded. */
export function download(stretch, arm, due) {
  figures.began(arm, due);
  const startedAt = Date.now();
  const ended = sources(arm).map((source, at) => {
    const got = fetched(arm, source);
    lines.download(stretch, arm, due, startedAt, arm.stock[at], got);
    return got.failure === null;
  });
  return ended.every((ok) => ok);
}

// Where each file of the stock is to be had: {file, url, headers, asked, own, failure}. `asked` counts the requests to
// the gateway that it took to learn that, and `own` is 1 where the file comes from the gateway too.
function sources(arm) {
  const authorised = { Authorization: `Bearer ${arm.identity.token}` };
  if (arm.download === 'proxied') {
    return arm.stock.map((file) => {
      const url = `${arm.gateway}/api/files/f/${file.id}/download?delivery=proxied`;
      return { file, url, headers: authorised, asked: 0, own: 1, failure: null };
    });
  }
  const fromStore = (file, asked, find) => {
    const source = { file, url: null, headers: {}, asked, own: 0, failure: null };
    try {
      source.url = find();
    } catch (error) {
      source.failure = failureOf(error);
    }
    return source;
  };
  if (arm.download === 'presigned') {
    return arm.stock.map((file) => fromStore(file, 1, () => signed(arm, file, authorised)));
  }
  const all = signedTogether(arm, authorised);
  return arm.stock.map((file, at) => fromStore(file, at === 0 ? 1 : 0, () => all(at)));
}

function signed(arm, file, authorised) {
  const params = figures.paramsOf(arm, 'sign', { ...authorised }, 'text');
  return expect('sign', http.get(`${arm.gateway}/api/files/f/${file.id}/download`, params), 200).json().download_url;
}

// The addresses of the whole stock with one request; the address of each is asked for by its number.
function signedTogether(arm, authorised) {
  const params = figures.paramsOf(arm, 'sign', { ...authorised, 'Content-Type': 'application/json' }, 'text');
  const body = JSON.stringify({ file_ids: arm.stock.map((file) => file.id) });
  const response = http.post(`${arm.gateway}/api/files/batch-download`, body, params);
  return (at) => {
    const told = expect('sign', response, 200).json().results[at];
    if (!told.success) throw new StepFailed('sign', response.status, told.error);
    return told.download_url;
  };
}

/** {failure, resumed, requests} of one file. */
function fetched(arm, source) {
  const got = { failure: source.failure, resumed: false, requests: source.asked };
  if (got.failure !== null) return got;
  try {
    receive(arm, source, got);
  } catch (error) {
    got.failure = failureOf(error);
  }
  return got;
}

function receive(arm, source, got) {
  const usual = known.get(arm.name) || { begun: 0, headMs: null, bodyMs: null };
  known.set(arm.name, usual);
  usual.begun += 1;
  const hash = crypto.createHash('sha256');
  let bytes = 0;
  const take = (response) => {
    got.requests += source.own;
    if (response.body === null || response.body.byteLength === 0) return;
    bytes += response.body.byteLength;
    hash.update(response.body);
  };
  const cut = arm.cut_every !== null && usual.begun % arm.cut_every === 0 && usual.bodyMs !== null;
  if (cut) {
    const response = http.get(source.url, cutParams(arm, source.headers, usual.headMs + usual.bodyMs / 2));
    take(response);
    // Status 0 is the end of our patience: what came by then is the beginning of the file.
    if (response.status !== 0) expect('download', response, 200);
  }
  if (!cut || bytes < arm.file_bytes) {
    got.resumed = bytes > 0;
    const range = got.resumed ? { Range: `bytes=${bytes}-` } : {};
    const params = figures.paramsOf(arm, 'download', { ...source.headers, ...range }, 'binary');
    const response = http.get(source.url, params);
    take(response);
    expect('download', response, got.resumed ? 206 : 200);
    if (!got.resumed) learn(usual, response.timings);
  }
  const equal = bytes === arm.file_bytes && hash.digest('hex') === source.file.sha256;
  if (!equal) throw new StepFailed('compare', 0, 'other-bytes');
}

function learn(usual, timings) {
  usual.headMs = smoothed(usual.headMs, timings.blocked + timings.connecting + timings.duration - timings.receiving);
  usual.bodyMs = smoothed(usual.bodyMs, timings.receiving);
}

function smoothed(usualMs, newestMs) {
  return usualMs === null ? newestMs : usualMs + NEWEST * (newestMs - usualMs);
}

// A client that goes away in the middle; that is no failed request.
function cutParams(arm, headers, afterMs) {
  const params = figures.paramsOf(arm, 'cut', { ...headers }, 'binary');
  return { ...params, timeout: `${Math.max(1, Math.round(afterMs))}ms`, responseCallback: null };
}

function expect(step, response, status) {
  if (check(response, { [`${step} ${status}`]: (r) => r.status === status })) return response;
  throw new StepFailed(step, response.status, errorCode(response, textOf(response.body)));
}

function textOf(body) {
  if (body === null || typeof body === 'string') return body;
  return String.fromCharCode(...new Uint8Array(body.slice(0, READ_OF_ERROR_BYTES)));
}
