/** A line of CSV (RFC 4180). Text that a spreadsheet would take for a formula is made harmless. */
export function csvLine(cells: readonly (string | number | bigint)[]): string {
  return `${cells.map(cellOf).join(',')}\r\n`;
}

function cellOf(cell: string | number | bigint): string {
  const text = typeof cell === 'string' ? cell.replace(/^[=+\-@\t\r]/, "'$&") : cell.toString();
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
