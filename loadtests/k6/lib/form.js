// A form of files as bytes: k6 makes one itself only where every field has another name.

// Longer than anything that random bytes are likely to hold, and no stamp has such letters.
const BOUNDARY = 'a-batch-of-files-from-vaultbench';

export const FORM_TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

function ascii(text) {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/**
 * The form of files of one size. Each body is asked for right before it is copied: all of them may be one buffer,
 * stamped anew for each.
 */
export function formOf(names, sizeBytes, bodyOf) {
  const heads = names.map((name) =>
    ascii(
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="${name}"\r\n` +
        'Content-Type: application/octet-stream\r\n\r\n',
    ),
  );
  const behind = ascii('\r\n');
  const end = ascii(`--${BOUNDARY}--\r\n`);
  const total = heads.reduce((sum, head) => sum + head.length + sizeBytes + behind.length, end.length);
  const form = new Uint8Array(total);
  let at = 0;
  const put = (bytes) => {
    form.set(bytes, at);
    at += bytes.length;
  };
  heads.forEach((head, index) => {
    put(head);
    put(new Uint8Array(bodyOf(index)));
    put(behind);
  });
  put(end);
  return form.buffer;
}
