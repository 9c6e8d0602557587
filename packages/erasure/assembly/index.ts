// Reed–Solomon over GF(2^8) with 128-bit SIMD: out[r] = sum over j of matrix[r][j] * in[j].
//
// A byte times a constant is two 16-entry table look-ups, one for each nibble, and an XOR (Plank,
// Greenan and Miller, "Screaming Fast Galois Field Arithmetic Using Intel SIMD Instructions", FAST
// 2013). i8x16.swizzle looks 16 bytes up at once. Four output rows are computed together over 32
// bytes, so that an input byte is loaded and split once for four rows.

/** Bytes of the two tables of one coefficient. */
const TABLE: usize = 32;

/** Make room for `bytes` of memory. Returns false when there is none. */
export function reserve(bytes: u32): bool {
  const pages = <i32>((<u64>bytes + 0xffff) >> 16);
  const missing = pages - memory.size();
  return missing <= 0 || memory.grow(missing) >= 0;
}

function code4(
  t0: usize,
  tableStride: usize,
  input: usize,
  inputStride: usize,
  k: u32,
  out: usize,
  outStride: usize,
  length: usize,
): void {
  const mask = i8x16.splat(0x0f);
  for (let at: usize = 0; at < length; at += 32) {
    let a0 = i64x2.splat(0);
    let a1 = i64x2.splat(0);
    let b0 = i64x2.splat(0);
    let b1 = i64x2.splat(0);
    let c0 = i64x2.splat(0);
    let c1 = i64x2.splat(0);
    let d0 = i64x2.splat(0);
    let d1 = i64x2.splat(0);
    let p = input + at;
    let t = t0;
    for (let j: u32 = 0; j < k; j++) {
      const x = v128.load(p);
      const y = v128.load(p, 16);
      const xl = v128.and(x, mask);
      const xh = i8x16.shr_u(x, 4);
      const yl = v128.and(y, mask);
      const yh = i8x16.shr_u(y, 4);
      let lo = v128.load(t);
      let hi = v128.load(t, 16);
      a0 = v128.xor(a0, v128.xor(i8x16.swizzle(lo, xl), i8x16.swizzle(hi, xh)));
      a1 = v128.xor(a1, v128.xor(i8x16.swizzle(lo, yl), i8x16.swizzle(hi, yh)));
      let u = t + tableStride;
      lo = v128.load(u);
      hi = v128.load(u, 16);
      b0 = v128.xor(b0, v128.xor(i8x16.swizzle(lo, xl), i8x16.swizzle(hi, xh)));
      b1 = v128.xor(b1, v128.xor(i8x16.swizzle(lo, yl), i8x16.swizzle(hi, yh)));
      u += tableStride;
      lo = v128.load(u);
      hi = v128.load(u, 16);
      c0 = v128.xor(c0, v128.xor(i8x16.swizzle(lo, xl), i8x16.swizzle(hi, xh)));
      c1 = v128.xor(c1, v128.xor(i8x16.swizzle(lo, yl), i8x16.swizzle(hi, yh)));
      u += tableStride;
      lo = v128.load(u);
      hi = v128.load(u, 16);
      d0 = v128.xor(d0, v128.xor(i8x16.swizzle(lo, xl), i8x16.swizzle(hi, xh)));
      d1 = v128.xor(d1, v128.xor(i8x16.swizzle(lo, yl), i8x16.swizzle(hi, yh)));
      p += inputStride;
      t += TABLE;
    }
    let o = out + at;
    v128.store(o, a0);
    v128.store(o, a1, 16);
    o += outStride;
    v128.store(o, b0);
    v128.store(o, b1, 16);
    o += outStride;
    v128.store(o, c0);
    v128.store(o, c1, 16);
    o += outStride;
    v128.store(o, d0);
    v128.store(o, d1, 16);
  }
}

function code1(
  t0: usize,
  input: usize,
  inputStride: usize,
  k: u32,
  out: usize,
  length: usize,
): void {
  const mask = i8x16.splat(0x0f);
  for (let at: usize = 0; at < length; at += 32) {
    let a0 = i64x2.splat(0);
    let a1 = i64x2.splat(0);
    let p = input + at;
    let t = t0;
    for (let j: u32 = 0; j < k; j++) {
      const x = v128.load(p);
      const y = v128.load(p, 16);
      const lo = v128.load(t);
      const hi = v128.load(t, 16);
      a0 = v128.xor(
        a0,
        v128.xor(i8x16.swizzle(lo, v128.and(x, mask)), i8x16.swizzle(hi, i8x16.shr_u(x, 4))),
      );
      a1 = v128.xor(
        a1,
        v128.xor(i8x16.swizzle(lo, v128.and(y, mask)), i8x16.swizzle(hi, i8x16.shr_u(y, 4))),
      );
      p += inputStride;
      t += TABLE;
    }
    v128.store(out + at, a0);
    v128.store(out + at, a1, 16);
  }
}

/**
 * Multiply `rows` matrix rows with k inputs, for `stripes` stripes.
 *
 * Tables lie at `tables`, 32 bytes a coefficient, row by row. Input j of stripe s lies at
 * input + s * inputStripe + j * inputStride; output r of stripe s at out + s * outStripe +
 * r * outStride. `length` is a multiple of 32.
 */
export function code(
  tables: usize,
  rows: u32,
  k: u32,
  input: usize,
  inputStride: usize,
  inputStripe: usize,
  out: usize,
  outStride: usize,
  outStripe: usize,
  length: usize,
  stripes: u32,
): void {
  const tableStride: usize = <usize>k * TABLE;
  for (let s: u32 = 0; s < stripes; s++) {
    let r: u32 = 0;
    let t = tables;
    let o = out;
    for (; r + 4 <= rows; r += 4) {
      code4(t, tableStride, input, inputStride, k, o, outStride, length);
      t += 4 * tableStride;
      o += 4 * outStride;
    }
    for (; r < rows; r++) {
      code1(t, input, inputStride, k, o, length);
      t += tableStride;
      o += outStride;
    }
    input += inputStripe;
    out += outStripe;
  }
}
