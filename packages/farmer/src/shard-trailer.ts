import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { type Contract, type Renewal, parseContract, parseRenewal } from '@granary/protocol';

/** What a shard's file says of itself, so that the contract book can be made anew from the files. */
export interface ShardTrailer {
  readonly contract: Contract;
  readonly renewal: Renewal | null;
  /** Leaves of the precomputed audits, in hex. */
  readonly audits: string;
}

const MAGIC = Buffer.from('GRANARY\u0001', 'latin1');
/** Magic, length of the document, SHA-256 of the document. */
const FOOTER = MAGIC.length + 4 + 32;
/** The most bytes of a file's end that are searched for a trailer. */
const SEARCH = 256 * 1024;

/** A trailer as bytes: the document and a footer that tells whether it is whole. */
export function encodeTrailer(trailer: ShardTrailer): Uint8Array {
  const body = Buffer.from(JSON.stringify(trailer), 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const hash = createHash('sha256').update(body).digest();
  return Buffer.concat([body, MAGIC, length, hash]);
}

/**
 * The last whole trailer of a file, its contract checked with both signatures; undefined when there
 * is none. One that was cut short by a crash is passed over.
 */
export async function readTrailer(file: FileHandle): Promise<ShardTrailer | undefined> {
  const { size } = await file.stat();
  const tail = Buffer.alloc(Math.min(size, SEARCH));
  for (let at = 0; at < tail.length;) {
    const { bytesRead } = await file.read(tail, at, tail.length - at, size - tail.length + at);
    if (bytesRead === 0) return undefined;
    at += bytesRead;
  }
  for (
    let at = tail.lastIndexOf(MAGIC);
    at >= 0;
    at = at === 0 ? -1 : tail.lastIndexOf(MAGIC, at - 1)
  ) {
    const found = decodeAt(tail, at);
    if (found !== undefined) return found;
  }
  return undefined;
}

function decodeAt(tail: Buffer, at: number): ShardTrailer | undefined {
  if (at + FOOTER > tail.length) return undefined;
  const length = tail.readUInt32BE(at + MAGIC.length);
  if (length > at) return undefined;
  const body = tail.subarray(at - length, at);
  const hash = createHash('sha256').update(body).digest();
  if (!hash.equals(tail.subarray(at + MAGIC.length + 4, at + FOOTER))) return undefined;
  try {
    const { contract, renewal, audits } = JSON.parse(body.toString('utf8')) as ShardTrailer;
    const checked = parseContract(contract);
    return {
      contract: checked,
      renewal: renewal === null ? null : parseRenewal(renewal, checked),
      audits: /^([0-9a-f]{64})*$/.test(audits) ? audits : '',
    };
  } catch {
    return undefined;
  }
}
