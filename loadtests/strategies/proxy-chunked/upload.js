// Bytes travel through the gateway and the upload service, chunk after chunk. The answer to the last
// chunk means: stored, checked and in the list.

export function upload(flow) {
  const session = flow.session('/api/upload/proxy/session', {
    file_name: flow.fileName,
    file_size_bytes: flow.sizeBytes,
  });
  for (const piece of flow.pieces()) {
    flow.chunk(`/api/upload/proxy/chunk?id=${piece.index}`, piece, {
      'Upload-UUID': session.upload_uuid,
      Checksum: piece.sha256,
    });
  }
  flow.transferred();
}
