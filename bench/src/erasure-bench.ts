import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';
import { createCodec } from '@granary/erasure';

const require = createRequire(import.meta.url);
const CODES = [
  [4, 4],
  [10, 4],
  [10, 10],
  [20, 20],
  [29, 51],
] as const;
const SHARD = 64 * 1024;
const ROUNDS = 5;
const ROUND_MS = 150;

/** A coder under test: encodes, and rebuilds as many data shards as it can lose, once for a call. */
interface Coder {
  readonly name: string;
  encode(): void | Promise<void>;
  reconstruct(): void | Promise<void>;
}

async function ours(k: number, m: number, implementation: 'wasm-simd' | 'scalar'): Promise<Coder> {
  const codec = await createCodec({ k, n: k + m, implementation });
  const data = Array.from({ length: k }, () => new Uint8Array(randomBytes(SHARD)));
  const parity = codec.encode(data);
  const lost = Math.min(k, m);
  const left = new Map<number, Uint8Array>();
  for (let i = lost; i < k; i += 1) left.set(i, data[i]!);
  for (let i = 0; i < lost; i += 1) left.set(k + i, parity[i]!);
  return {
    name: `granary ${implementation}`,
    encode: () => void codec.encode(data, parity),
    reconstruct: () => void codec.reconstructData(left),
  };
}

/** `@subspace/reed-solomon-erasure.wasm`: Rust compiled to WebAssembly, without SIMD. */
async function subspace(k: number, m: number): Promise<Coder> {
  const { ReedSolomonErasure } = require('@subspace/reed-solomon-erasure.wasm') as {
    ReedSolomonErasure: {
      fromCurrentDirectory(): Promise<{
        encode(shards: Uint8Array, k: number, m: number): number;
        reconstruct(shards: Uint8Array, k: number, m: number, there: boolean[]): number;
      }>;
    };
  };
  const coder = await ReedSolomonErasure.fromCurrentDirectory();
  const shards = new Uint8Array(randomBytes((k + m) * SHARD));
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

/** `@ronomon/reed-solomon`: a native addon. */
function ronomon(k: number, m: number): Coder {
  const native = require('@ronomon/reed-solomon') as {
    MAX_K: number;
    MAX_M: number;
    create(k: number, m: number): unknown;
    encode(...args: unknown[]): void;
  };
  if (k > native.MAX_K || m > native.MAX_M) {
    throw new Error(`it takes at most ${native.MAX_K} data and ${native.MAX_M} parity shards`);
  }
  const context = native.create(k, m);
  const data = randomBytes(k * SHARD);
  const parity = Buffer.alloc(m * SHARD);
  const lost = Math.min(k, m);
  const bits = (from: number, to: number) => {
    let flags = 0;
    for (let i = from; i < to; i += 1) flags |= 1 << i;
    return flags;
  };
  const run = (sources: number, targets: number) =>
    new Promise<void>((resolve, reject) =>
      native.encode(
        ...[context, sources, targets, data, 0, data.length, parity, 0, parity.length],
        (error: Error | undefined) => (error ? reject(error) : resolve()),
      ),
    );
  return {
    name: '@ronomon/reed-solomon (native)',
    encode: () => run(bits(0, k), bits(k, k + m)),
    reconstruct: () => run(bits(lost, k) | bits(k, k + lost), bits(0, lost)),
  };
}

async function rateOf(work: () => void | Promise<void>, bytes: number): Promise<number> {
  let calls = 0;
  const begun = performance.now();
  while (performance.now() - begun < ROUND_MS) {
    await work();
    calls += 1;
  }
  return (calls * bytes) / 1000 / (performance.now() - begun);
}

const median = (values: number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Encode and reconstruct, MB of data shards a second on one core, against named peers in turn. */
export async function benchErasure(report: (line: string) => void): Promise<void> {
  report(
    `  MB of data a second; shards of ${SHARD / 1024} KiB; median of ${ROUNDS} interleaved rounds`,
  );
  for (const [k, m] of CODES) {
    const coders: Coder[] = [];
    const makers = [
      () => ours(k, m, 'wasm-simd'),
      () => ours(k, m, 'scalar'),
      () => subspace(k, m),
      () => Promise.resolve().then(() => ronomon(k, m)),
    ];
    report(`  ${k}+${m}`);
    const absent: string[] = [];
    for (const make of makers) {
      try {
        coders.push(await make());
      } catch (error) {
        absent.push(`    not here: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    const rates = new Map(
      coders.map(({ name }) => [name, { encode: [] as number[], reconstruct: [] as number[] }]),
    );
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const coder of coders) {
        const mine = rates.get(coder.name)!;
        mine.encode.push(await rateOf(() => coder.encode(), k * SHARD));
        mine.reconstruct.push(await rateOf(() => coder.reconstruct(), k * SHARD));
      }
    }
    const base = rates.get('granary wasm-simd')!;
    for (const [name, { encode, reconstruct }] of rates) {
      const [e, r] = [median(encode), median(reconstruct)];
      const times = `ours is ${(median(base.encode) / e).toFixed(2)} and ${(median(base.reconstruct) / r).toFixed(2)} times it`;
      report(
        `    ${name.padEnd(38)} encode ${e.toFixed(0).padStart(6)}  reconstruct ${r.toFixed(0).padStart(6)}  ${times}`,
      );
    }
    absent.forEach(report);
  }
}
