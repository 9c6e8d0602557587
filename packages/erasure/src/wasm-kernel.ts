import { ErasureError } from './errors.js';
import { multiply } from './galois-field.js';
import { reedSolomonWasm } from './generated/reed-solomon-wasm.js';
import type { Kernel } from './kernel.js';
import type { Matrix } from './matrix.js';

interface Exports {
  readonly memory: WebAssembly.Memory;
  reserve(bytes: number): number;
  code(
    tables: number,
    rows: number,
    k: number,
    input: number,
    inputStride: number,
    inputStripe: number,
    out: number,
    outStride: number,
    outStripe: number,
    length: number,
    stripes: number,
  ): void;
}

// (module (func (result v128) i32.const 0 i8x16.splat)): valid only where there is SIMD.
const SIMD_PROBE = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123],
  ...[3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11],
);

/** Whether this engine has WebAssembly with 128-bit SIMD. */
export function hasSimd(): boolean {
  return typeof WebAssembly === 'object' && WebAssembly.validate(SIMD_PROBE);
}

const TABLE = 32;
/** Bytes of input and output worked on at a time: they stay in the second-level cache. */
const BLOCK = 256 * 1024;
const align = (n: number) => Math.ceil(n / 32) * 32;

/** The two nibble tables of every coefficient of a matrix. */
function tablesOf({ data }: Matrix): Uint8Array {
  const tables = new Uint8Array(data.length * TABLE);
  data.forEach((factor, i) => {
    for (let nibble = 0; nibble < 16; nibble += 1) {
      tables[i * TABLE + nibble] = multiply(factor, nibble);
      tables[i * TABLE + 16 + nibble] = multiply(factor, nibble << 4);
    }
  });
  return tables;
}

/** WebAssembly SIMD. One instance serves many codecs; calls are synchronous. */
export class WasmKernel implements Kernel {
  readonly implementation = 'wasm-simd';
  private readonly tables = new WeakMap<Matrix, Uint8Array>();
  private loaded: Matrix | undefined;
  private bytes: Uint8Array;

  private constructor(private readonly wasm: Exports) {
    this.bytes = new Uint8Array(wasm.memory.buffer);
  }

  static async create(): Promise<WasmKernel> {
    const binary = Uint8Array.from(atob(reedSolomonWasm), (c) => c.charCodeAt(0));
    const { instance } = await WebAssembly.instantiate(binary, {});
    return new WasmKernel(instance.exports as unknown as Exports);
  }

  code(matrix: Matrix, inputs: readonly Uint8Array[], outputs: readonly Uint8Array[]): void {
    const { rows, columns } = matrix;
    const length = inputs[0]?.length ?? 0;
    if (length === 0 || rows === 0) return;
    const step = align(Math.min(length, Math.max(1024, Math.floor(BLOCK / (rows + columns)))));
    const input = this.prepare(matrix, step * (rows + columns));
    const out = input + step * columns;
    for (let at = 0; at < length; at += step) {
      const size = Math.min(step, length - at);
      for (let j = 0; j < columns; j += 1) {
        this.bytes.set(inputs[j]!.subarray(at, at + size), input + j * step);
      }
      this.wasm.code(0, rows, columns, input, step, 0, out, step, 0, align(size), 1);
      for (let r = 0; r < rows; r += 1) {
        const from = out + r * step;
        outputs[r]!.set(this.bytes.subarray(from, from + size), at);
      }
    }
  }

  codeStripes(
    matrix: Matrix,
    data: Uint8Array,
    offset: number,
    cell: number,
    stripes: number,
    outputs: readonly Uint8Array[],
    outOffset: number,
  ): void {
    const { rows, columns } = matrix;
    if (rows === 0 || stripes === 0 || cell === 0) return;
    if (cell % 32 !== 0) {
      // Cells that end off a vector would overlap; only short last stripes are like that.
      for (let s = 0; s < stripes; s += 1) {
        const base = offset + s * columns * cell;
        const inputs = Array.from({ length: columns }, (_, j) =>
          data.subarray(base + j * cell, base + (j + 1) * cell),
        );
        const at = outOffset + s * cell;
        this.code(
          matrix,
          inputs,
          outputs.map((output) => output.subarray(at, at + cell)),
        );
      }
      return;
    }
    const batch = Math.max(1, Math.min(stripes, Math.floor(BLOCK / ((rows + columns) * cell))));
    const stripe = columns * cell;
    const input = this.prepare(matrix, batch * (rows + columns) * cell);
    const out = input + batch * stripe;
    for (let s = 0; s < stripes; s += batch) {
      const count = Math.min(batch, stripes - s);
      const from = offset + s * stripe;
      this.bytes.set(data.subarray(from, from + count * stripe), input);
      const row0 = batch * cell;
      this.wasm.code(0, rows, columns, input, cell, stripe, out, row0, cell, cell, count);
      for (let r = 0; r < rows; r += 1) {
        const row = out + r * row0;
        outputs[r]!.set(this.bytes.subarray(row, row + count * cell), outOffset + s * cell);
      }
    }
  }

  /** Load a matrix's tables and make room for `work` bytes after them; where they begin. */
  private prepare(matrix: Matrix, work: number): number {
    let tables = this.tables.get(matrix);
    if (tables === undefined) {
      tables = tablesOf(matrix);
      this.tables.set(matrix, tables);
    }
    const start = align(tables.length);
    if (this.wasm.reserve(start + work) === 0) {
      throw new ErasureError('ERASURE_MEMORY', 'WebAssembly has no more memory');
    }
    if (this.bytes.buffer !== this.wasm.memory.buffer) {
      this.bytes = new Uint8Array(this.wasm.memory.buffer);
    }
    if (this.loaded !== matrix) {
      this.bytes.set(tables, 0);
      this.loaded = matrix;
    }
    return start;
  }
}
