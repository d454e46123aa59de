// One upload as a strategy sees it: requests that either succeed or end the upload. A request may have several
// files, each an upload of its own.

import http from 'k6/http';
import { check } from 'k6';
import { config } from './config.js';
import * as data from './data.js';
import { paramsOf } from './figures.js';
import { FORM_TYPE, formOf } from './form.js';
import * as lines from './lines.js';

export class StepFailed extends Error {
  constructor(step, status, code) {
    super(`${step}: ${status} ${code}`);
    this.step = step;
    this.status = status;
    this.code = code;
  }
}

/** Whatever went wrong, as a step that failed. */
export const failureOf = (error) => (error instanceof StepFailed ? error : new StepFailed('script', 0, String(error)));

/** Our services answer {"error": code}; the store answers XML; a broken connection has k6's own code. */
export function errorCode(response, text) {
  if (response.status === 0) return `transport-${response.error_code}`;
  const found = /"error"\s*:\s*"([a-z_]+)"|<Code>([A-Za-z]+)<\/Code>/.exec(text || '');
  return found === null ? null : found[1] || found[2];
}

export class Flow {
  constructor(rows, arm) {
    this.rows = rows;
    this.row = rows[0];
    this.arm = arm;
    this.gateway = arm.gateway;
    this.fileName = nameOf(rows[0]);
    this.sizeBytes = arm.file_bytes;
    this.pieceBytes = arm.piece_bytes;
    this.variant = arm.variant;
    this.ids = rows.map(() => null);
    this.failures = rows.map(() => null);
    this.startedAt = Date.now();
    this.authorisedAt = null;
    this.transferredAt = null;
    this.token = arm.identity.token;
  }

  get uploadUuid() {
    return this.ids[0];
  }

  set uploadUuid(id) {
    this.ids[0] = id;
  }

  /** Every file that had not failed by itself failed by this. */
  fail(failure) {
    this.failures = this.failures.map((known) => known || failure);
  }

  /** The session that permits the upload: the same reference never makes a second file. */
  session(path, facts) {
    const answer = this.api('session', path, facts, { 'Idempotency-Key': this.row.ref });
    this.uploadUuid = answer.upload_uuid;
    this.authorisedAt = Date.now();
    return answer;
  }

  /** JSON to the gateway; returns the parsed answer. */
  api(step, path, facts, headers = {}) {
    const all = { Authorization: `Bearer ${this.token}`, 'Content-Type': 'application/json', ...headers };
    return this.expect(step, http.post(this.gateway + path, JSON.stringify(facts), this.params(step, all))).json();
  }

  /** Raw bytes to the gateway. */
  chunk(path, piece, headers) {
    const all = { Authorization: `Bearer ${this.token}`, 'Content-Type': 'application/octet-stream', ...headers };
    return this.expect('chunk', http.post(this.gateway + path, piece.body, this.params('chunk', all)), piece.sizeBytes);
  }

  /** The whole file in one request, which is durable when it is answered: no session, nothing to complete. */
  file(path, piece) {
    this.authorisedAt = this.startedAt;
    const headers = {
      Authorization: `Bearer ${this.token}`,
      'Content-Type': 'application/octet-stream',
      'Idempotency-Key': this.row.ref,
      'X-File-Name': encodeURIComponent(this.fileName),
      Checksum: piece.sha256,
    };
    const response = http.post(this.gateway + path, piece.body, this.params('file', headers));
    this.uploadUuid = this.expect('file', response, piece.sizeBytes, 201).json().upload_uuid;
  }

  /** All files in one form. Each is durable when it is answered, and one that fails fails alone. */
  batch(path) {
    this.authorisedAt = this.startedAt;
    const headers = {
      Authorization: `Bearer ${this.token}`,
      'Content-Type': FORM_TYPE,
      'Idempotency-Key': this.row.ref,
    };
    const form = formOf(this.rows.map(nameOf), this.sizeBytes, (at) => data.pieces(this.rows[at], this.arm)[0].body);
    const response = http.post(this.gateway + path, form, this.params('batch', headers));
    const { results } = this.expect('batch', response, this.sizeBytes * this.rows.length).json();
    this.rows.forEach((_, at) => {
      const told = results[at];
      if (told !== undefined && told.success) this.ids[at] = told.file_id;
      else this.failures[at] = new StepFailed('batch', response.status, told === undefined ? 'no_result' : told.error);
    });
  }

  /** Raw bytes to a presigned URL of the store; returns its ETag. */
  put(url, piece) {
    return this.expect('put', http.put(url, piece.body, this.params('put', {})), piece.sizeBytes).headers.Etag;
  }

  /** All bytes of the file were answered for. */
  transferred() {
    this.transferredAt = Date.now();
  }

  pieces() {
    return data.pieces(this.row, this.arm);
  }

  params(step, headers) {
    return paramsOf(this.arm, step, headers, 'text');
  }

  // A sink that agrees to all answers 200, whatever is asked of it.
  expect(step, response, fileBytes = 0, status = 200) {
    if (config.trace) lines.request(step, response, fileBytes, this.gateway);
    const ok = check(response, { [`${step} ${status}`]: (r) => r.status === status || r.status === 200 });
    if (!ok) throw new StepFailed(step, response.status, errorCode(response, response.body));
    return response;
  }
}

function nameOf(row) {
  return `${row.ref}.bin`;
}
