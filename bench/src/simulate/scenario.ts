import type { Start } from './world.js';

/** What the command line says, for all scenarios. What is undefined is the scenario's own choice. */
export interface Settings {
  readonly seed: string;
  readonly nodes: readonly number[] | undefined;
  /** Median session lengths in minutes; Infinity: nobody goes. */
  readonly sessions: readonly number[] | undefined;
  readonly lookups: number | undefined;
  /** Virtual minutes of life before anything is measured. */
  readonly warmup: number | undefined;
  /** Virtual minutes over which the measurement is spread. */
  readonly minutes: number | undefined;
  readonly start: Start;
  /** Shares, 0 to 1. */
  readonly loss: number;
  readonly clients: number;
  readonly wrong: number;
  readonly graceful: number;
  readonly malicious: readonly number[] | undefined;
  /** Only these of the scenario's variants. */
  readonly only: readonly string[] | undefined;
}

/** One row of a table: what stands under each column. */
export type Row = Readonly<Record<string, string | number>>;

/** What is drawn of the rows. */
export interface PlotSpec {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  /** Column whose values tell the lines apart. */
  readonly line?: string;
  /** Column whose values tell panels apart, side by side. */
  readonly panel?: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly logX?: boolean;
  readonly logY?: boolean;
  readonly yDomain?: readonly [number, number];
  /** Bars for each x instead of lines. */
  readonly bars?: boolean;
}

export interface Scenario {
  /** One line for the help. */
  readonly summary: string;
  readonly plot: PlotSpec;
  /** @param report - is given each row as soon as it is known, and remarks */
  run(settings: Settings, report: Reporter): Promise<void>;
}

export interface Reporter {
  row(row: Row): void;
  /** A remark that belongs to the result. */
  note(text: string): void;
}
