import { z } from 'zod';
import {
  countSchema,
  moneySchema,
  neighbourhoodSchema,
  nodeIdSchema,
  timeSchema,
} from './parts.js';

/** Figures of one farmer, as `/health` of a farmer gives them. Sizes in bytes. */
export const farmerFiguresSchema = z.object({
  nodeId: nodeIdSchema,
  address: z.string().max(1000),
  reachable: z.enum(['unknown', 'public', 'private']).nullable(),
  tunnels: countSchema,
  tunnelClients: countSchema,
  tunnelBytes: countSchema,
  quotaBytes: countSchema,
  usedBytes: countSchema,
  reservedBytes: countSchema,
  freeBytes: countSchema,
  shards: countSchema,
  missing: countSchema,
  damaged: countSchema,
  peers: countSchema,
  connections: countSchema,
  uploads: countSchema,
  downloads: countSchema,
  deletes: countSchema,
  refused: countSchema,
  bytesIn: countSchema,
  bytesOut: countSchema,
  audits: countSchema,
  auditsLost: countSchema,
  leaving: z.boolean(),
  startedAt: timeSchema,
});
export type FarmerFigures = z.infer<typeof farmerFiguresSchema>;

/** How a farmer is. */
export const farmerStateSchema = z.object({
  kind: z.literal('farmer'),
  time: timeSchema,
  figures: farmerFiguresSchema,
  contracts: z
    .object({
      renters: countSchema,
      /** Whether there are more renters than were counted. */
      moreRenters: z.boolean(),
      endInDay: countSchema,
      endInWeek: countSchema,
      endInMonth: countSchema,
    })
    .nullable(),
  neighbourhood: neighbourhoodSchema,
  money: moneySchema,
});
export type FarmerState = z.infer<typeof farmerStateSchema>;

/** What is remembered of a farmer over time. */
export const FARMER_FIELDS = [
  'bytesIn',
  'bytesOut',
  'usedBytes',
  'audits',
  'auditsLost',
  'peers',
  'tunnelBytes',
] as const;
