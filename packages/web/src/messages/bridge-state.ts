import { z } from 'zod';
import {
  countSchema,
  moneySchema,
  neighbourhoodSchema,
  nodeIdSchema,
  timeSchema,
} from './parts.js';

const schemeSchema = z.object({
  k: countSchema,
  repair: countSchema,
  success: countSchema,
  n: countSchema,
});

/** How one object is: as its most endangered segment. */
export const objectViewSchema = z.object({
  /** The first digits of its ID. */
  id: z.string().regex(/^[0-9a-f]{1,64}$/),
  /**
   * `content`: bytes of the bridge's objects; `journal`: what its database is made anew from; `index`: of
   * the renter's index for recovery; `object`: put by the command.
   */
  sort: z.enum(['content', 'journal', 'index', 'object']),
  /** What it is called, when names are shown. */
  name: z.string().max(2000).nullable(),
  size: countSchema,
  created: timeSchema,
  scheme: schemeSchema,
  segments: countSchema,
  endangered: countSchema,
  verdict: z.enum(['fine', 'move', 'repair', 'lost']),
  shards: z.object({
    healthy: countSchema,
    away: countSchema,
    leaving: countSchema,
    gone: countSchema,
  }),
  /** Shards more than k that can be read now, in its worst segment; below 0 when it can't be read. */
  spare: z.number().int(),
  expires: timeSchema.nullable(),
});
export type ObjectView = z.infer<typeof objectViewSchema>;

/** Objects on a page of the list. */
export const OBJECTS_PER_PAGE = 20;
/** The worst objects that the list has; of the others there are counts. */
export const MAX_LISTED_OBJECTS = 10_000;

/** A page of objects, the most endangered first. */
export const objectsPageSchema = z.object({
  /** When the look at all objects ended; null while there was none. */
  surveyedAt: timeSchema.nullable(),
  total: countSchema,
  /** Those that the pages have: the worst. */
  listed: countSchema,
  /** From 0. */
  page: countSchema,
  pages: countSchema,
  objects: z.array(objectViewSchema).max(OBJECTS_PER_PAGE),
});
export type ObjectsPage = z.infer<typeof objectsPageSchema>;

/** What a look at all objects came to. */
export const surveySchema = z.object({
  at: timeSchema,
  tookMs: z.number().nonnegative(),
  objects: countSchema,
  segments: countSchema,
  bytes: countSchema,
  storedBytes: countSchema,
  fine: countSchema,
  move: countSchema,
  repair: countSchema,
  lost: countSchema,
  /** Objects that can't be read now, though those who hold them may be back: fewer than k shards answer. */
  unreadable: countSchema,
  /** The fewest spare shards of any object; null without objects. */
  leastSpare: z.number().int().nullable(),
  /** How many objects have 0, 1, 2, … spare shards; those with more are in the last. */
  bySpare: z.array(countSchema).max(64),
  contracts: countSchema,
  endInDay: countSchema,
});
export type Survey = z.infer<typeof surveySchema>;

/** How a bridge is. */
export const bridgeStateSchema = z.object({
  kind: z.literal('bridge'),
  time: timeSchema,
  nodeId: nodeIdSchema,
  url: z.string().max(1000),
  region: z.string().max(100),
  ready: z.object({ database: z.boolean(), network: z.boolean() }),
  scheme: schemeSchema,
  requests: z.object({
    running: countSchema,
    connections: countSchema,
    total: countSchema,
    /** Refused for a reason of the client's, and failed for one of ours. */
    refused: countSchema,
    failed: countSchema,
    received: countSchema,
    sent: countSchema,
    operations: z
      .array(
        z.object({
          name: z.string().max(100),
          count: countSchema,
          errors: countSchema,
          /** Of the last ones, in milliseconds. */
          medianMs: z.number().nonnegative(),
        }),
      )
      .max(100),
  }),
  buckets: z.object({
    total: countSchema,
    more: z.boolean(),
    users: countSchema,
    list: z
      .array(
        z.object({
          /** When names are shown. */
          name: z.string().max(100).nullable(),
          objects: countSchema,
          bytes: countSchema,
          created: timeSchema,
        }),
      )
      .max(50),
  }),
  survey: surveySchema.nullable(),
  care: z.object({
    /** Whether this process looks after what is stored. */
    here: z.boolean(),
    phase: z.enum([
      'idle',
      'farmers',
      'audits',
      'payments',
      'inspection',
      'repairs',
      'shares',
      'garbage',
      'index',
    ]),
    since: timeSchema,
    rounds: countSchema,
    queue: countSchema,
    done: countSchema,
    repairing: z
      .object({ id: z.string().max(64), segment: countSchema, since: timeSchema })
      .nullable(),
    last: z
      .object({
        at: timeSchema,
        audited: countSchema,
        failed: countSchema,
        unanswered: countSchema,
        renewed: countSchema,
        repaired: countSchema,
        placed: countSchema,
        unrepaired: countSchema,
      })
      .nullable(),
    failure: z.object({ at: timeSchema, reason: z.string().max(1000) }).nullable(),
  }),
  farmers: z.object({
    total: countSchema,
    list: z
      .array(
        z.object({
          nodeId: nodeIdSchema,
          address: z.string().max(1000).nullable(),
          operator: z.string().max(200).nullable(),
          standing: z.enum(['new', 'good', 'suspected', 'disqualified']),
          why: z.string().max(1000),
          leaving: z.boolean(),
          answers: z.boolean(),
          /** Since when it does not answer. */
          awaySince: timeSchema.nullable(),
          latencyMs: z.number().nonnegative(),
          freeBytes: countSchema,
          passed: countSchema,
          failed: countSchema,
          /** From 0 to 1. */
          uptime: z.number().min(0).max(1),
        }),
      )
      .max(400),
  }),
  neighbourhood: neighbourhoodSchema,
  money: moneySchema,
});
export type BridgeState = z.infer<typeof bridgeStateSchema>;
export type FarmerRow = BridgeState['farmers']['list'][number];

/** What is remembered of a bridge over time. */
export const BRIDGE_FIELDS = [
  'received',
  'sent',
  'requests',
  'failed',
  'auditsPassed',
  'auditsFailed',
  'objects',
  'endangered',
  'farmersAway',
] as const;
