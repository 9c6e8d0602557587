import { z } from 'zod';
import { farmerFiguresSchema } from './farmer-state.js';
import { countSchema, nodeIdSchema, timeSchema } from './parts.js';

/** How a local network of farmers is. */
export const networkStateSchema = z.object({
  kind: z.literal('network'),
  time: timeSchema,
  /** The renter's home that the network made. */
  home: z.string().max(4096),
  directory: z.string().max(4096),
  farmers: z
    .array(
      z.object({
        index: countSchema,
        nodeId: nodeIdSchema,
        address: z.string().max(1000),
        pid: countSchema.nullable(),
        /** `starting`: it was not asked yet; `silent`: it runs, and does not answer. */
        state: z.enum(['starting', 'running', 'silent', 'gone']),
        /** How it ended: a signal or an exit code. */
        ended: z.string().max(100).nullable(),
        since: timeSchema,
        /** Round trip of the last question, in milliseconds. */
        rttMs: z.number().nonnegative().nullable(),
        /** The last that was heard of it. */
        figures: farmerFiguresSchema.nullable(),
      }),
    )
    .max(200),
});
export type NetworkState = z.infer<typeof networkStateSchema>;
export type NetworkFarmer = NetworkState['farmers'][number];

/** What is remembered of a network over time, summed up over its farmers. */
export const NETWORK_FIELDS = [
  'bytesIn',
  'bytesOut',
  'usedBytes',
  'audits',
  'auditsLost',
  'running',
] as const;
