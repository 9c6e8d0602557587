import type { Row } from './scenario.js';

/** A row of a Markdown table. */
export function markdownRow(cells: readonly (string | number)[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** The two lines above the first row. */
export function markdownHeader(columns: readonly string[]): string {
  return `${markdownRow(columns)}\n${markdownRow(columns.map(() => '---'))}`;
}

/** CSV (RFC 4180) of all rows, with the names of the columns first. */
export function csv(rows: readonly Row[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const cell = (value: string | number) =>
    /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
  const lines = [columns, ...rows.map((row) => columns.map((column) => row[column] ?? ''))];
  return lines.map((line) => `${line.map(cell).join(',')}\n`).join('');
}
