import type { Hello, Row, Sample, State } from '../messages/stream.js';
import { FIELDS, type Kind } from '../messages/stream.js';

/**
 * How the stream is: `denied`, when the server does not know us (any more); `stale`, when it speaks
 * another version of the messages.
 */
export type Connection = 'connecting' | 'live' | 'lost' | 'denied' | 'full' | 'stale';

/** All that the page knows. */
export interface Model {
  readonly connection: Connection;
  readonly hello: Hello | undefined;
  readonly state: State | undefined;
  readonly recent: readonly Row[];
  readonly day: readonly Row[];
}

/** What can happen. */
export type Event =
  | { readonly type: 'connection'; readonly connection: Connection }
  | { readonly type: 'hello'; readonly hello: Hello }
  | { readonly type: 'state'; readonly state: State }
  | { readonly type: 'sample'; readonly sample: Sample };

/** What the page knows at first. */
export const nothing: Model = {
  connection: 'connecting',
  hello: undefined,
  state: undefined,
  recent: [],
  day: [],
};

const RECENT_ROWS = 180;
const DAY_ROWS = 288;

/** What the page knows after an event. */
export function after(model: Model, event: Event): Model {
  switch (event.type) {
    case 'connection':
      return { ...model, connection: event.connection };
    case 'hello': {
      const { recent, day } = event.hello;
      const connection = 'live';
      return { ...model, connection, hello: event.hello, recent: recent.rows, day: day.rows };
    }
    case 'state':
      return { ...model, state: event.state };
    case 'sample': {
      const { recent, day } = event.sample;
      return {
        ...model,
        recent: [...model.recent, recent].slice(-RECENT_ROWS),
        day: day === null ? model.day : [...model.day, day].slice(-DAY_ROWS),
      };
    }
  }
}

/** A field of a kind of dashboard. */
export type Field<K extends Kind> = (typeof FIELDS)[K][number];

/** Values of some fields over time. */
export function values<K extends Kind>(
  rows: readonly Row[],
  kind: K,
  fields: readonly Field<K>[],
): { time: number; values: number[] }[] {
  const columns = fields.map((field) => (FIELDS[kind] as readonly string[]).indexOf(field) + 1);
  return rows.map((row) => ({ time: row[0]!, values: columns.map((column) => row[column] ?? 0) }));
}

/** Of counters that only grow, how fast they did: a second, at each time but the first. */
export function rates<K extends Kind>(
  rows: readonly Row[],
  kind: K,
  fields: readonly Field<K>[],
): { time: number; values: number[] }[] {
  return differences(rows, kind, fields, (grown, ms) => (grown * 1000) / ms);
}

/** Of counters that only grow, by how much they did, at each time but the first. */
export function growth<K extends Kind>(
  rows: readonly Row[],
  kind: K,
  fields: readonly Field<K>[],
): { time: number; values: number[] }[] {
  return differences(rows, kind, fields, (grown) => grown);
}

function differences<K extends Kind>(
  rows: readonly Row[],
  kind: K,
  fields: readonly Field<K>[],
  of: (grown: number, ms: number) => number,
): { time: number; values: number[] }[] {
  const points = values(rows, kind, fields);
  return points.slice(1).map((point, i) => {
    const before = points[i]!;
    const ms = Math.max(1, point.time - before.time);
    // A counter that is smaller than before began anew.
    return {
      time: point.time,
      values: point.values.map((value, j) => of(Math.max(0, value - before.values[j]!), ms)),
    };
  });
}
