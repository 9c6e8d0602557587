import { type Hello, type Row, type Sample } from '@granary/web';

/** Between two rows of the recent series, and how many there are: a quarter of an hour. */
export const RECENT = { stepMs: 5_000, rows: 180 };
/** Between two rows of the long series, and how many there are: a day. */
export const DAY = { stepMs: 300_000, rows: 288 };

/** Figures over time, in memory: it begins with the process, and its size is bounded. */
export class History {
  private readonly recent: Row[] = [];
  private readonly day: Row[] = [];

  /** Note figures. @param now - milliseconds since the epoch */
  add(now: number, values: readonly number[]): Sample {
    const row = [now, ...values];
    push(this.recent, row, RECENT.rows);
    const last = this.day.at(-1)?.[0];
    // A little early counts: timers do not come on the dot.
    const isDue = last === undefined || now - last >= DAY.stepMs - RECENT.stepMs / 2;
    if (isDue) push(this.day, row, DAY.rows);
    return { recent: row, day: isDue ? row : null };
  }

  /** Both series. */
  get series(): Pick<Hello, 'recent' | 'day'> {
    return {
      recent: { stepMs: RECENT.stepMs, rows: this.recent },
      day: { stepMs: DAY.stepMs, rows: this.day },
    };
  }
}

function push(rows: Row[], row: Row, limit: number): void {
  rows.push(row);
  if (rows.length > limit) rows.shift();
}
