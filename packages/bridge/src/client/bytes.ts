/** Bytes of an object, whole or as a stream. */
export type Bytes = Uint8Array | ReadableStream<Uint8Array> | Blob;
