// One presigned PUT of the whole file straight to the store, without the store's multipart calls.

export function upload(flow) {
  const session = flow.session('/api/upload/single/session', {
    file_name: flow.fileName,
    file_size_bytes: flow.sizeBytes,
  });
  const [piece] = flow.pieces();
  const etag = flow.put(session.url, piece);
  flow.transferred();
  flow.api('complete', '/api/upload/single/complete', { upload_uuid: session.upload_uuid, etag });
}
