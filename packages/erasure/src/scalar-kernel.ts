import { multiply } from './galois-field.js';
import type { Kernel } from './kernel.js';
import type { Matrix } from './matrix.js';

// All products: 64 KiB, made once.
const PRODUCTS = new Uint8Array(65_536);
for (let a = 0; a < 256; a += 1) {
  for (let b = 0; b < 256; b += 1) PRODUCTS[a * 256 + b] = multiply(a, b);
}

function addProduct(factor: number, input: Uint8Array, output: Uint8Array): void {
  if (factor === 0) return;
  const table = PRODUCTS.subarray(factor * 256, factor * 256 + 256);
  for (let i = 0; i < output.length; i += 1) output[i] = output[i]! ^ table[input[i]!]!;
}

function code(matrix: Matrix, inputs: readonly Uint8Array[], outputs: readonly Uint8Array[]): void {
  outputs.forEach((output, r) => {
    output.fill(0);
    inputs.forEach((input, j) => addProduct(matrix.data[r * matrix.columns + j]!, input, output));
  });
}

/** Plain table look-ups, for engines without WebAssembly SIMD. */
export const scalarKernel: Kernel = {
  implementation: 'scalar',
  code,
  codeStripes(matrix, data, offset, cell, stripes, outputs, outOffset) {
    for (let s = 0; s < stripes; s += 1) {
      const base = offset + s * matrix.columns * cell;
      const inputs = Array.from({ length: matrix.columns }, (_, j) =>
        data.subarray(base + j * cell, base + (j + 1) * cell),
      );
      const at = outOffset + s * cell;
      code(
        matrix,
        inputs,
        outputs.map((output) => output.subarray(at, at + cell)),
      );
    }
  },
};
