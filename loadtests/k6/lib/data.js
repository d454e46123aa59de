// The bytes of the files, and the rows that say how one differs from the next.

import * as control from './control.js';

// One buffer of each size for each VU. Only its stamps change from upload to upload.
const files = new Map();
// Rows not used yet, by kind of file.
const stock = new Map();

/** Fetch what these arms send, and forget what they do not. */
export function prepare(arms) {
  const sizes = new Set(arms.map((arm) => arm.file_bytes));
  for (const size of files.keys()) if (!sizes.has(size)) files.delete(size);
  for (const size of sizes) {
    if (!files.has(size)) files.set(size, size === 0 ? new ArrayBuffer(0) : control.pattern(size));
  }
}

/** Have a row for the arm's next upload; false where the stretch was cut. */
export function stocked(arm) {
  const left = stock.get(arm.kind);
  if (left !== undefined && left.length > 0) return true;
  const rows = control.rows(arm.kind);
  if (rows === null) return false;
  stock.set(arm.kind, rows);
  return true;
}

/** The row of the arm's next upload, of those that are in stock. */
export function nextRow(arm) {
  return stock.get(arm.kind).shift();
}

// A stamp with less room than its text keeps the text's last characters.
function stamp(file, row, stamps) {
  const view = new Uint8Array(file);
  stamps.forEach(([start, end], block) => {
    const text = row.stamps[block];
    const skipped = text.length - (end - start);
    for (let at = start; at < end; at += 1) view[at] = text.charCodeAt(skipped + at - start);
  });
}

/** The file of one row in pieces: [{index, body, sizeBytes, sha256}]. */
export function pieces(row, arm) {
  const file = files.get(arm.file_bytes);
  stamp(file, row, arm.stamps);
  const whole = arm.file_bytes;
  if (whole <= arm.piece_bytes) return [{ index: 0, body: file, sizeBytes: whole, sha256: row.sha256 }];
  const list = [];
  for (let start = 0; start < whole; start += arm.piece_bytes) {
    const body = file.slice(start, Math.min(start + arm.piece_bytes, whole));
    list.push({ index: list.length, body, sizeBytes: body.byteLength, sha256: row.chunks[list.length] });
  }
  return list;
}
