import { z } from 'zod';
import { BRIDGE_FIELDS, bridgeStateSchema } from './bridge-state.js';
import { FARMER_FIELDS, farmerStateSchema } from './farmer-state.js';
import { NETWORK_FIELDS, networkStateSchema } from './network-state.js';
import { countSchema, timeSchema } from './parts.js';

/** The version of these messages: a page of another one reloads itself. */
export const DASHBOARD_PROTOCOL = 1;

/** What a dashboard can be about. */
export const kindSchema = z.enum(['farmer', 'bridge', 'network']);
export type Kind = z.infer<typeof kindSchema>;

/** What is remembered over time, by kind. */
export const FIELDS = {
  farmer: FARMER_FIELDS,
  bridge: BRIDGE_FIELDS,
  network: NETWORK_FIELDS,
} as const;

/** How a node is now: the event `state`. */
export const stateSchema = z.discriminatedUnion('kind', [
  farmerStateSchema,
  bridgeStateSchema,
  networkStateSchema,
]);
export type State = z.infer<typeof stateSchema>;

/** The most rows of a series. */
export const MAX_ROWS = 400;

/** A time in milliseconds since the epoch and the fields' values then. */
export const rowSchema = z.array(z.number()).min(1).max(32);
export type Row = z.infer<typeof rowSchema>;

/** Values over time, oldest first. */
export const seriesSchema = z.object({
  /** Between two rows, in milliseconds. */
  stepMs: z.number().positive(),
  rows: z.array(rowSchema).max(MAX_ROWS),
});
export type Series = z.infer<typeof seriesSchema>;

/** The first event of a stream, `hello`. */
export const helloSchema = z.object({
  protocol: countSchema,
  kind: kindSchema,
  /** Of `granary`. */
  version: z.string().max(100),
  startedAt: timeSchema,
  recent: seriesSchema,
  day: seriesSchema,
});
export type Hello = z.infer<typeof helloSchema>;

/** One more row for both series or the recent one: the event `sample`. */
export const sampleSchema = z.object({ recent: rowSchema, day: rowSchema.nullable() });
export type Sample = z.infer<typeof sampleSchema>;

/** The event `beat`: the server is there, though it has no state to tell yet. */
export const beatSchema = z.object({ time: timeSchema });
