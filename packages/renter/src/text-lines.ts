/**
 * The lines of UTF-8 text that comes in pieces, without their ends (`\n` or `\r\n`).
 *
 * @param longest - the most characters of a line
 * @throws RangeError when a line has more.
 */
export async function* textLines(
  pieces: AsyncIterable<Uint8Array>,
  longest = Infinity,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of pieces) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop()!;
    if (rest.length > longest) throw new RangeError('a line is too long');
    for (const line of lines) yield line.replace(/\r$/, '');
  }
  rest += decoder.decode();
  if (rest !== '') yield rest.replace(/\r$/, '');
}
