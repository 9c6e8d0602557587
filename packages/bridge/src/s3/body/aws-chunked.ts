import { createHash } from 'node:crypto';
import { S3Error } from '../s3-error.js';
import type { ChunkSigner } from '../signature/chunk-signer.js';
import { sameSignature } from '../signature/signing-key.js';

/** How a body in `aws-chunked` encoding is to be read. */
export interface AwsChunkedOptions {
  /** Verifies every chunk and the trailer; without it they carry no signatures. */
  readonly signer?: ChunkSigner;
  /** The trailer fields that were announced by `x-amz-trailer`, in lower case; null when none may follow. */
  readonly trailer: readonly string[] | null;
  /** Bytes of the payload, from `x-amz-decoded-content-length`. */
  readonly length: number;
  /** Called with the trailer's fields before the end of the stream is reported. */
  readonly onTrailer?: (fields: ReadonlyMap<string, string>) => void;
}

/** The longest line: a chunk's size with its signature, or a trailer field. */
const MAX_LINE = 1024;
/** The most fields in a trailer. */
const MAX_FIELDS = 16;

/**
 * Decode `aws-chunked`. Bytes are handed out as they come, whatever the size of a chunk, so memory does
 * not depend on it; a chunk whose signature is wrong is reported at its end. **Nothing that was read
 * counts before the stream has ended without an error.**
 *
 * @throws S3Error IncompleteBody, InvalidRequest, MalformedTrailerError, SignatureDoesNotMatch.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 */
export async function* decodeAwsChunked(
  source: AsyncIterable<Uint8Array>,
  options: AwsChunkedOptions,
): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(source);
  let total = 0;
  try {
    for (;;) {
      const { size, signature } = parseChunkHead(await reader.line(), options.signer !== undefined);
      total += size;
      if (total > options.length) throw wrongLength(options.length);
      const hash = options.signer === undefined ? undefined : createHash('sha256');
      let left = size;
      while (left > 0) {
        const part = await reader.some(left);
        left -= part.length;
        hash?.update(part);
        yield part;
      }
      if (options.signer !== undefined) {
        const ours = options.signer.chunk(hash!.digest('hex'));
        if (!sameSignature(ours, signature!)) throw new S3Error('SignatureDoesNotMatch');
      }
      if (size === 0) break;
      if ((await reader.line()) !== '') throw malformed('a chunk is longer than its size');
    }
    if (total !== options.length) throw wrongLength(options.length);
    const fields = await readTrailer(reader, options);
    options.onTrailer?.(fields);
  } finally {
    await reader.close();
  }
}

function parseChunkHead(line: string, signed: boolean): { size: number; signature?: string } {
  const match = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line);
  if (match === null) throw malformed('a chunk does not begin with its size');
  if (signed !== (match[2] !== undefined)) {
    throw malformed(signed ? 'a chunk has no signature' : 'a chunk has a signature and should not');
  }
  const size = Number.parseInt(match[1]!, 16);
  return match[2] === undefined ? { size } : { size, signature: match[2] };
}

async function readTrailer(
  reader: ByteReader,
  { trailer, signer }: AwsChunkedOptions,
): Promise<ReadonlyMap<string, string>> {
  const fields = new Map<string, string>();
  let signature: string | undefined;
  for (let lines = 0; ; lines++) {
    const line = await reader.lineOrEnd();
    if (line === undefined) break;
    if (line === '') {
      // Some signers put an empty line between the fields and their signature.
      if (trailer !== null && signer !== undefined && signature === undefined && lines > 0)
        continue;
      break;
    }
    if (trailer === null) throw malformedTrailer('no trailer was announced by x-amz-trailer');
    if (lines > MAX_FIELDS || signature !== undefined) throw malformedTrailer('it is too long');
    const colon = line.indexOf(':');
    if (colon < 1) throw malformedTrailer('a line has no ":"');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'x-amz-trailer-signature') {
      signature = value;
      continue;
    }
    if (!trailer.includes(name) || fields.has(name)) {
      throw malformedTrailer(
        `${JSON.stringify(name.slice(0, 64))} was not announced by x-amz-trailer`,
      );
    }
    fields.set(name, value);
  }
  if (trailer !== null) {
    for (const name of trailer) {
      if (!fields.has(name)) throw malformedTrailer(`${name} was announced and is missing`);
    }
    if (signer !== undefined) {
      const canonical = [...fields].map(([name, value]) => `${name}:${value}\n`).join('');
      if (signature === undefined) throw malformedTrailer('it has no x-amz-trailer-signature');
      if (!sameSignature(signer.trailer(canonical), signature)) {
        throw new S3Error('SignatureDoesNotMatch');
      }
    }
  }
  if ((await reader.lineOrEnd()) !== undefined) throw malformed('there are bytes behind its end');
  return fields;
}

function malformed(why: string): S3Error {
  return new S3Error('InvalidRequest', `The body is not well-formed aws-chunked: ${why}.`);
}

function malformedTrailer(why: string): S3Error {
  return new S3Error(
    'MalformedTrailerError',
    `The request contained trailing data that was not well-formed: ${why}.`,
  );
}

function wrongLength(length: number): S3Error {
  return new S3Error(
    'IncompleteBody',
    `The chunks of the body do not add up to the ${length} bytes of x-amz-decoded-content-length.`,
  );
}

/** Reads lines and runs of bytes from a stream, holding one of its buffers at a time. */
class ByteReader {
  private readonly iterator: AsyncIterator<Uint8Array>;
  private buffer: Uint8Array = new Uint8Array(0);
  private ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.iterator = source[Symbol.asyncIterator]();
  }

  /** Between 1 and `most` bytes. */
  async some(most: number): Promise<Uint8Array> {
    if (!(await this.fill())) {
      throw new S3Error('IncompleteBody', 'The body ended within a chunk.');
    }
    const part = this.buffer.subarray(0, most);
    this.buffer = this.buffer.subarray(part.length);
    return part;
  }

  /** A line without its end. */
  async line(): Promise<string> {
    const line = await this.lineOrEnd();
    if (line === undefined)
      throw new S3Error('IncompleteBody', 'The body ended before its last chunk.');
    return line;
  }

  /** A line without its end, or undefined when nothing is left. */
  async lineOrEnd(): Promise<string | undefined> {
    let text = '';
    let any = false;
    while (await this.fill()) {
      any = true;
      const end = this.buffer.indexOf(0x0a);
      const part = end < 0 ? this.buffer : this.buffer.subarray(0, end);
      if (text.length + part.length > MAX_LINE) throw malformed('a line is too long');
      text += Buffer.from(part.buffer, part.byteOffset, part.length).toString('latin1');
      this.buffer = this.buffer.subarray(end < 0 ? part.length : end + 1);
      if (end >= 0) return text.endsWith('\r') ? text.slice(0, -1) : text;
    }
    if (any) throw new S3Error('IncompleteBody', 'The body ended within a line.');
    return undefined;
  }

  async close(): Promise<void> {
    if (!this.ended) await this.iterator.return?.();
  }

  private async fill(): Promise<boolean> {
    while (this.buffer.length === 0) {
      if (this.ended) return false;
      const next = await this.iterator.next();
      if (next.done === true) this.ended = true;
      else this.buffer = next.value;
    }
    return true;
  }
}
