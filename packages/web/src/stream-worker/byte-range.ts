/** A run of bytes. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * What a `Range` header asks of `size` bytes (RFC 9110, section 14): one range; `whole` when there is no
 * header, or one that need not be understood (several ranges, other units, nonsense); `none` when no byte
 * of it is there.
 */
export function parseByteRange(header: string | null, size: number): ByteRange | 'whole' | 'none' {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '');
  const [first = '', last = ''] = match?.slice(1) ?? [];
  if (first === '' && last === '') return 'whole';
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'none' : { offset: size - length, length };
  }
  const offset = Number(first);
  const end = last === '' ? size - 1 : Number(last);
  if (end < offset && last !== '') return 'whole';
  if (offset >= size) return 'none';
  return { offset, length: Math.min(end, size - 1) - offset + 1 };
}
