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

/** Have the rows of the arm's next request; false where the stretch was cut. */
export function stocked(arm) {
  let left = stock.get(arm.kind) || [];
  while (left.length < arm.files) {
    const rows = control.rows(arm.kind);
    if (rows === null) return false;
    left = left.concat(rows);
    stock.set(arm.kind, left);
  }
  return true;
}

/** The rows of the arm's next request, of those that are in stock: one for each file in it. */
export function nextRows(arm) {
  return stock.get(arm.kind).splice(0, arm.files);
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
