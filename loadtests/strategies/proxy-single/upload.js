// The whole file in one request through the gateway and the upload service. The variant is the body mode:
// streamed into the store while it arrives, or held first, in a file or in memory.

export function upload(flow) {
  const [piece] = flow.pieces();
  flow.file(`/api/upload/file?mode=${flow.variant || 'streamed'}`, piece);
  flow.transferred();
}
