// Bytes travel straight to the store, part after part; the gateway hears of each part and of the end.

export function upload(flow) {
  const session = flow.session('/api/upload/multipart/session', {
    file_name: flow.fileName,
    file_size_bytes: flow.sizeBytes,
    part_size_bytes: flow.pieceBytes,
  });
  for (const piece of flow.pieces()) {
    const etag = flow.put(session.parts[piece.index].url, piece);
    flow.transferred();
    flow.api('register', '/api/upload/multipart/part', {
      upload_uuid: session.upload_uuid,
      part_number: piece.index + 1,
      size_bytes: piece.sizeBytes,
      etag,
    });
  }
  flow.api('complete', '/api/upload/multipart/complete', { upload_uuid: session.upload_uuid });
}
