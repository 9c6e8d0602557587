import type { Matrix } from './matrix.js';

/** Which code does the arithmetic. */
export type Implementation = 'wasm-simd' | 'scalar';

/**
 * Multiplies a matrix with byte strings. Inputs are given as pieces that lie in arrays at offsets;
 * outputs likewise.
 */
export interface Kernel {
  readonly implementation: Implementation;
  /** out[r] = sum of matrix[r][j] * in[j], over the whole length of the inputs. */
  code(matrix: Matrix, inputs: readonly Uint8Array[], outputs: readonly Uint8Array[]): void;
  /**
   * The same for a run of stripes that lie one after the other: stripe s has `matrix.columns` cells
   * of `cell` bytes at `offset + s * columns * cell` of `data`; output row r of stripe s goes to
   * `outputs[r]` at `outOffset + s * cell`.
   */
  codeStripes(
    matrix: Matrix,
    data: Uint8Array,
    offset: number,
    cell: number,
    stripes: number,
    outputs: readonly Uint8Array[],
    outOffset: number,
  ): void;
}
