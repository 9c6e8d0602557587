import { EXP, inverse, multiply } from './galois-field.js';

/** A matrix over GF(2^8), row by row. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Uint8Array;
}

/** A matrix of zeros. */
export function zeros(rows: number, columns: number): Matrix {
  return { rows, columns, data: new Uint8Array(rows * columns) };
}

/** Some rows of a matrix, in the order given. */
export function pickRows({ columns, data }: Matrix, rows: readonly number[]): Matrix {
  const picked = zeros(rows.length, columns);
  rows.forEach((row, i) =>
    picked.data.set(data.subarray(row * columns, (row + 1) * columns), i * columns),
  );
  return picked;
}

/** The product of two matrices. */
export function product(a: Matrix, b: Matrix): Matrix {
  const out = zeros(a.rows, b.columns);
  for (let r = 0; r < a.rows; r += 1) {
    for (let c = 0; c < b.columns; c += 1) {
      let sum = 0;
      for (let i = 0; i < a.columns; i += 1) {
        sum ^= multiply(a.data[r * a.columns + i]!, b.data[i * b.columns + c]!);
      }
      out.data[r * b.columns + c] = sum;
    }
  }
  return out;
}

/** The inverse of a square matrix that has one (Gauss–Jordan). */
export function invert(matrix: Matrix): Matrix {
  const n = matrix.rows;
  const a = Uint8Array.from(matrix.data);
  const out = zeros(n, n);
  const b = out.data;
  for (let i = 0; i < n; i += 1) b[i * n + i] = 1;
  const swap = (m: Uint8Array, r: number, s: number) => {
    const row = m.slice(r * n, (r + 1) * n);
    m.copyWithin(r * n, s * n, (s + 1) * n);
    m.set(row, s * n);
  };
  for (let i = 0; i < n; i += 1) {
    let pivot = i;
    while (pivot < n && a[pivot * n + i] === 0) pivot += 1;
    if (pivot === n) throw new Error('the matrix is singular');
    if (pivot !== i) {
      swap(a, i, pivot);
      swap(b, i, pivot);
    }
    const scale = inverse(a[i * n + i]!);
    for (let c = 0; c < n; c += 1) {
      a[i * n + c] = multiply(a[i * n + c]!, scale);
      b[i * n + c] = multiply(b[i * n + c]!, scale);
    }
    for (let r = 0; r < n; r += 1) {
      const factor = a[r * n + i]!;
      if (r === i || factor === 0) continue;
      for (let c = 0; c < n; c += 1) {
        a[r * n + c] = a[r * n + c]! ^ multiply(a[i * n + c]!, factor);
        b[r * n + c] = b[r * n + c]! ^ multiply(b[i * n + c]!, factor);
      }
    }
  }
  return out;
}

/**
 * The generator matrix, n rows of k: the identity above, the parity rows below. It is that of
 * Rizzo's code (1997), of zfec and so of Tahoe-LAFS: an extended Vandermonde matrix (first row 1, 0,
 * 0, …; row i + 1 the powers of 2^i) times the inverse of its top, so that any k rows can be
 * inverted.
 */
export function generatorMatrix(k: number, n: number): Matrix {
  const vandermonde = zeros(n, k);
  vandermonde.data[0] = 1;
  for (let row = 0; row < n - 1; row += 1) {
    for (let column = 0; column < k; column += 1) {
      vandermonde.data[(row + 1) * k + column] = EXP[(row * column) % 255]!;
    }
  }
  const indices = Array.from({ length: n }, (_, i) => i);
  const top = invert(pickRows(vandermonde, indices.slice(0, k)));
  const parity = product(pickRows(vandermonde, indices.slice(k)), top);
  const generator = zeros(n, k);
  for (let i = 0; i < k; i += 1) generator.data[i * k + i] = 1;
  generator.data.set(parity.data, k * k);
  return generator;
}
