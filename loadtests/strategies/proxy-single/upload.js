// The whole file in one request through the gateway and the upload service. The variant is the body mode:
// streamed into the store while it arrives, or held first, in a file or in memory. Or it is a batch: one request
// has several files.

export function upload(flow) {
  if (flow.variant === 'batch') {
    flow.batch('/api/upload/batch');
  } else {
    const [piece] = flow.pieces();
    flow.file(`/api/upload/file?mode=${flow.variant || 'streamed'}`, piece);
  }
  flow.transferred();
}
