/** What happened on one day (UTC) between two nodes in one currency. */
export interface DayRow {
  /** `YYYY-MM-DD`. */
  readonly day: string;
  readonly peer: string;
  readonly currency: string;
  /** Fine parts charged. */
  readonly storage: bigint;
  readonly egress: bigint;
  readonly tunnel: bigint;
  /** Units promised in vouchers, and settled. */
  readonly promised: bigint;
  readonly settled: bigint;
}

/** The day of a time, `YYYY-MM-DD`. */
export function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
