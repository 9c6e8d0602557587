import { createCodec } from '@granary/erasure';
import { median } from './median.js';

/** Bytes of each shard that is coded. */
export const SHARD = 64 * 1024;
/** How long a coder works at one time, in milliseconds. */
const ROUND_MS = 150;

/** A coder under test: encodes, and rebuilds as many data shards as it can lose, once for a call. */
export interface Coder {
  readonly name: string;
  encode(): void | Promise<void>;
  reconstruct(): void | Promise<void>;
}

function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  // So many at a time are given at most.
  for (let at = 0; at < length; at += 65_536)
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

/** Ours, which writes into memory that is there, as the peers do. */
export async function granaryCoder(
  k: number,
  m: number,
  implementation: 'wasm-simd' | 'scalar',
): Promise<Coder> {
  const codec = await createCodec({ k, n: k + m, implementation });
  const data = Array.from({ length: k }, () => noise(SHARD));
  const parity = codec.encode(data);
  const lost = Math.min(k, m);
  const left = new Map<number, Uint8Array>();
  for (let i = lost; i < k; i += 1) left.set(i, data[i]!);
  for (let i = 0; i < lost; i += 1) left.set(k + i, parity[i]!);
  const room = new Map(Array.from({ length: lost }, (_, i) => [i, new Uint8Array(SHARD)]));
  return {
    name: `granary ${implementation}`,
    encode: () => void codec.encode(data, parity),
    reconstruct: () => void codec.reconstructData(left, room),
  };
}

/** What `@subspace/reed-solomon-erasure.wasm` offers: Rust compiled to WebAssembly, without SIMD. */
export interface Subspace {
  encode(shards: Uint8Array, k: number, m: number): number;
  reconstruct(shards: Uint8Array, k: number, m: number, there: boolean[]): number;
}

/** @param coder - an instance, which is loaded otherwise in Node than in a page */
export function subspaceCoder(coder: Subspace, k: number, m: number): Coder {
  const shards = noise((k + m) * SHARD);
  const lost = Math.min(k, m);
  const there = Array.from({ length: k + m }, (_, i) => i >= lost && i < k + lost);
  const check = (code: number) => {
    if (code !== 0) throw new Error(`code ${code}`);
  };
  check(coder.encode(shards, k, m));
  return {
    name: '@subspace/reed-solomon-erasure.wasm',
    encode: () => check(coder.encode(shards, k, m)),
    reconstruct: () => check(coder.reconstruct(shards, k, m, there)),
  };
}

/** Kilobytes of data a millisecond, which is MB a second, of calls that code `bytes` of data each. */
export async function rateOf(
  work: () => void | Promise<void>,
  bytes: number,
  ms = ROUND_MS,
): Promise<number> {
  let calls = 0;
  const begun = performance.now();
  while (performance.now() - begun < ms) {
    await work();
    calls += 1;
  }
  return (calls * bytes) / 1000 / (performance.now() - begun);
}

/** The median speeds of some coders, in rounds that take turns. */
export async function compareCoders(
  coders: readonly Coder[],
  k: number,
  rounds: number,
): Promise<{ name: string; encode: number; reconstruct: number }[]> {
  const rates = coders.map(() => ({ encode: [] as number[], reconstruct: [] as number[] }));
  for (let round = 0; round < rounds; round += 1) {
    for (const [i, coder] of coders.entries()) {
      rates[i]!.encode.push(await rateOf(() => coder.encode(), k * SHARD));
      rates[i]!.reconstruct.push(await rateOf(() => coder.reconstruct(), k * SHARD));
    }
  }
  return coders.map(({ name }, i) => ({
    name,
    encode: median(rates[i]!.encode),
    reconstruct: median(rates[i]!.reconstruct),
  }));
}
