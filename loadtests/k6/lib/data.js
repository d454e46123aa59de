// The tables the harness prepared: identities, upload rows, and the bytes of the files.

import { SharedArray } from 'k6/data';
import exec from 'k6/execution';
import { config } from './config.js';

const table = (name, path, read) => (path === '' ? [] : new SharedArray(name, () => read(JSON.parse(open(path)))));

const rows = table('uploads', config.table, (content) => content.rows);
const stamps = table('stamps', config.table, (content) => content.stamps).map(([start, end]) => ({ start, end }));
const users = table('identities', config.identities, (content) => content);

// One buffer per VU. Only its stamps change from upload to upload.
const file = config.pattern === '' ? new ArrayBuffer(0) : open(config.pattern, 'b');
const view = new Uint8Array(file);

export function nextRow() {
  const index = exec.scenario.iterationInTest;
  if (index >= rows.length) exec.test.abort(`the table of uploads has only ${rows.length} rows`);
  return rows[index];
}

export function userIndex() {
  return (exec.vu.idInTest - 1) % users.length;
}

export function user(index) {
  return users[index];
}

function stamp(row) {
  stamps.forEach(({ start, end }, block) => {
    const text = row.stamps[block];
    const skipped = text.length - (end - start); // a stamp with less room keeps its last characters
    for (let at = start; at < end; at += 1) view[at] = text.charCodeAt(skipped + at - start);
  });
}

/** The file of one row, in pieces of at most `pieceBytes`: [{index, body, sizeBytes, sha256}]. */
export function pieces(row, pieceBytes) {
  stamp(row);
  const whole = config.fileBytes;
  if (whole <= pieceBytes) return [{ index: 0, body: file, sizeBytes: whole, sha256: row.sha256 }];
  const list = [];
  for (let start = 0; start < whole; start += pieceBytes) {
    const body = file.slice(start, Math.min(start + pieceBytes, whole));
    list.push({ index: list.length, body, sizeBytes: body.byteLength, sha256: row.chunks[list.length] });
  }
  return list;
}
