const UNRESERVED = /^[A-Za-z0-9\-._~]*$/;
const HEX = Array.from(
  { length: 256 },
  (_, byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
);

/**
 * Percent-encode as Signature V4 prescribes: every byte of the UTF-8 but `A-Z a-z 0-9 - . _ ~`, in
 * upper-case hex. `/` stays when `keepSlash` is set.
 */
export function uriEncode(text: string, keepSlash = false): string {
  if (UNRESERVED.test(text)) return text;
  let result = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const plain =
      (byte >= 0x41 && byte <= 0x5a) ||
      (byte >= 0x61 && byte <= 0x7a) ||
      (byte >= 0x30 && byte <= 0x39) ||
      byte === 0x2d ||
      byte === 0x2e ||
      byte === 0x5f ||
      byte === 0x7e ||
      (keepSlash && byte === 0x2f);
    result += plain ? String.fromCharCode(byte) : HEX[byte]!;
  }
  return result;
}

/**
 * Undo percent-encoding. `+` stays a plus.
 *
 * @returns undefined where an escape is cut off or the bytes are not UTF-8
 */
export function uriDecode(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
