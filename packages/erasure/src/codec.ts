import { ErasureError } from './errors.js';
import type { Implementation, Kernel } from './kernel.js';
import { type Matrix, generatorMatrix, invert, pickRows, product } from './matrix.js';
import { scalarKernel } from './scalar-kernel.js';
import { WasmKernel, hasSimd } from './wasm-kernel.js';

/** Shards by their index, 0 to n - 1; those of k and above are parity. */
export type ShardMap = ReadonlyMap<number, Uint8Array>;

/** A systematic Reed–Solomon code: any k of its n shards give back the others. */
export interface Codec {
  readonly k: number;
  readonly n: number;
  readonly implementation: Implementation;
  /**
   * The n - k parity shards of k data shards of one length.
   *
   * @param out - arrays to write into instead of new ones
   * @throws ErasureError ERASURE_SHARD_SIZE when the lengths differ or the count is not k.
   */
  encode(data: readonly Uint8Array[], out?: readonly Uint8Array[]): Uint8Array[];
  /**
   * Rebuild the shards named in `wanted`. A wanted shard that is present is handed back as it is.
   *
   * @param out - arrays to rebuild shards into instead of new ones, by index; none may be of `shards`
   * @throws ErasureError ERASURE_TOO_FEW_SHARDS with fewer than k present; ERASURE_SHARD_SIZE.
   */
  reconstruct(shards: ShardMap, wanted: readonly number[], out?: ShardMap): Map<number, Uint8Array>;
  /** All n shards from any k. */
  reconstructAll(shards: ShardMap): Uint8Array[];
  /** The k data shards from any k. See {@link Codec.reconstruct}. */
  reconstructData(shards: ShardMap, out?: ShardMap): Uint8Array[];
  /**
   * Whether the shards, at least k + 1 of them, are all of one code word. Fewer can't be checked
   * against each other.
   *
   * @throws ErasureError ERASURE_TOO_FEW_SHARDS.
   */
  verify(shards: ShardMap): boolean;
  /**
   * Parity of stripes that lie one after the other in `data`; see {@link Kernel.codeStripes}.
   * Used by the striping layer.
   */
  encodeStripes(
    data: Uint8Array,
    offset: number,
    cell: number,
    stripes: number,
    outputs: readonly Uint8Array[],
    outOffset: number,
  ): void;
}

/** Decode matrices kept for patterns of loss seen lately. */
const MAX_PLANS = 64;

class ReedSolomon implements Codec {
  readonly implementation: Implementation;
  private readonly generator: Matrix;
  private readonly parity: Matrix;
  private readonly plans = new Map<string, Matrix>();

  constructor(
    readonly k: number,
    readonly n: number,
    private readonly kernel: Kernel,
  ) {
    this.implementation = kernel.implementation;
    this.generator = generatorMatrix(k, n);
    this.parity = pickRows(
      this.generator,
      Array.from({ length: n - k }, (_, i) => k + i),
    );
  }

  encode(data: readonly Uint8Array[], out?: readonly Uint8Array[]): Uint8Array[] {
    if (data.length !== this.k) {
      throw new ErasureError('ERASURE_SHARD_SIZE', `${this.k} data shards, not ${data.length}`);
    }
    const length = data[0]!.length;
    const parity = out ?? Array.from({ length: this.n - this.k }, () => new Uint8Array(length));
    if (parity.length !== this.n - this.k) {
      throw new ErasureError('ERASURE_SHARD_SIZE', `room for ${this.n - this.k} parity shards`);
    }
    sameLength([...data, ...parity]);
    this.kernel.code(this.parity, data, parity);
    return [...parity];
  }

  encodeStripes(
    data: Uint8Array,
    offset: number,
    cell: number,
    stripes: number,
    outputs: readonly Uint8Array[],
    outOffset: number,
  ): void {
    this.kernel.codeStripes(this.parity, data, offset, cell, stripes, outputs, outOffset);
  }

  reconstruct(
    shards: ShardMap,
    wanted: readonly number[],
    out?: ShardMap,
  ): Map<number, Uint8Array> {
    for (const index of [...shards.keys(), ...wanted]) this.checkIndex(index);
    sameLength([...shards.values()]);
    const result = new Map<number, Uint8Array>();
    const missing = [...new Set(wanted)].filter((index) => !shards.has(index));
    if (missing.length > 0) {
      const from = this.chooseFrom(shards);
      const inputs = from.map((index) => shards.get(index)!);
      const outputs = missing.map((index) => out?.get(index) ?? new Uint8Array(inputs[0]!.length));
      sameLength([inputs[0]!, ...outputs]);
      this.kernel.code(this.plan(from, missing), inputs, outputs);
      missing.forEach((index, i) => result.set(index, outputs[i]!));
    }
    for (const index of wanted) {
      const present = shards.get(index);
      if (present !== undefined) result.set(index, present);
    }
    return result;
  }

  reconstructAll(shards: ShardMap): Uint8Array[] {
    return this.range(shards, this.n);
  }

  reconstructData(shards: ShardMap, out?: ShardMap): Uint8Array[] {
    return this.range(shards, this.k, out);
  }

  verify(shards: ShardMap): boolean {
    if (shards.size <= this.k) {
      throw new ErasureError(
        'ERASURE_TOO_FEW_SHARDS',
        `${this.k + 1} shards are needed to check them against each other, not ${shards.size}`,
      );
    }
    const from = this.chooseFrom(shards);
    const base = new Map(from.map((index) => [index, shards.get(index)!]));
    const others = [...shards.keys()].filter((index) => !base.has(index));
    sameLength([...shards.values()]);
    const rebuilt = this.reconstruct(base, others);
    return others.every((index) => equal(rebuilt.get(index)!, shards.get(index)!));
  }

  private range(shards: ShardMap, count: number, out?: ShardMap): Uint8Array[] {
    const wanted = Array.from({ length: count }, (_, i) => i);
    const rebuilt = this.reconstruct(shards, wanted, out);
    return wanted.map((index) => rebuilt.get(index)!);
  }

  /** k of the shards present, data shards first: they cost nothing to decode. */
  private chooseFrom(shards: ShardMap): number[] {
    const from = [...shards.keys()].sort((a, b) => a - b).slice(0, this.k);
    if (from.length < this.k) {
      throw new ErasureError(
        'ERASURE_TOO_FEW_SHARDS',
        `${this.k} shards are needed, ${from.length} are there`,
      );
    }
    return from;
  }

  /** The matrix that makes shards `missing` out of shards `from`. */
  private plan(from: readonly number[], missing: readonly number[]): Matrix {
    const name = `${from.join()}>${missing.join()}`;
    let plan = this.plans.get(name);
    if (plan === undefined) {
      const decode = invert(pickRows(this.generator, from));
      plan = product(pickRows(this.generator, missing), decode);
      if (this.plans.size >= MAX_PLANS) this.plans.delete(this.plans.keys().next().value!);
    } else {
      this.plans.delete(name);
    }
    this.plans.set(name, plan);
    return plan;
  }

  private checkIndex(index: number): void {
    if (!Number.isInteger(index) || index < 0 || index >= this.n) {
      throw new ErasureError('ERASURE_SHARD_INDEX', `there is no shard ${index} of ${this.n}`);
    }
  }
}

function sameLength(shards: readonly Uint8Array[]): void {
  if (shards.some(({ length }) => length !== shards[0]!.length)) {
    throw new ErasureError('ERASURE_SHARD_SIZE', 'the shards differ in length');
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

let wasm: Promise<WasmKernel> | undefined;

/**
 * Make a codec.
 *
 * @param options - 1 <= k <= n <= 256; `auto` takes WebAssembly SIMD where it is there
 * @throws ErasureError ERASURE_PARAMETERS.
 */
export async function createCodec(options: {
  k: number;
  n: number;
  implementation?: Implementation | 'auto';
}): Promise<Codec> {
  const { k, n, implementation = 'auto' } = options;
  if (!Number.isInteger(k) || !Number.isInteger(n) || k < 1 || k > n || n > 256) {
    throw new ErasureError('ERASURE_PARAMETERS', `k = ${k}, n = ${n}: need 1 <= k <= n <= 256`);
  }
  const simd = implementation === 'wasm-simd' || (implementation === 'auto' && hasSimd());
  return new ReedSolomon(k, n, simd ? await (wasm ??= WasmKernel.create()) : scalarKernel);
}
