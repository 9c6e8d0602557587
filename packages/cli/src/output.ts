import { explain } from './exit-codes.js';

/** Where a command writes. */
export interface Output {
  readonly json: boolean;
  /** A line for people; not with --json. */
  line(text: string): void;
  /** The result for scripts; only with --json. */
  result(value: unknown): void;
  /** A remark on stderr; not with --json. */
  note(text: string): void;
}

/** Output to the terminal. */
export function terminalOutput(json: boolean): Output {
  return {
    json,
    line: (text) => {
      if (!json) process.stdout.write(`${text}\n`);
    },
    result: (value) => {
      if (json) process.stdout.write(`${JSON.stringify(value)}\n`);
    },
    note: (text) => {
      if (!json) process.stderr.write(`${text}\n`);
    },
  };
}

/** Text with its control characters written out, so that a name can't steer the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}|\p{Cf}/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
}

/** Say what went wrong, on stderr; the exit code. */
export function reportError(error: unknown, json: boolean, debug: boolean): number {
  const { exit, code, message } = explain(error);
  process.stderr.write(
    json
      ? `${JSON.stringify({ error: { code, message, exit } })}\n`
      : `granary: ${printable(message)}\n`,
  );
  if (debug && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
  return exit;
}

/** A table: columns as wide as they must be, the first row the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, c) => Math.max(...rows.map((row) => row[c]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, c) => cell.padEnd(widths[c]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
