import { z } from 'zod';

/** A whole number that is not negative. */
export const countSchema = z.number().int().nonnegative();
/** Milliseconds since the epoch. */
export const timeSchema = z.number().nonnegative();
/** A node ID: 64 lower-case hex digits. */
export const nodeIdSchema = z.string().regex(/^[0-9a-f]{64}$/);
const textSchema = z.string().max(1000);

/** The most peers in one message: the nearest are told, and how many there are in all. */
export const MAX_PEERS = 400;

/** A node that this node knows, or knew until lately. */
export const peerSchema = z.object({
  nodeId: nodeIdSchema,
  address: textSchema.nullable(),
  /** `silent`: it did not answer; `left`: it said goodbye. */
  state: z.enum(['alive', 'silent', 'left']),
  /** Round trip in milliseconds, smoothed; null while none was measured. */
  rttMs: z.number().nonnegative().nullable(),
  /** Since when it has this state, as far as this process knows. */
  since: timeSchema.nullable(),
});
export type PeerView = z.infer<typeof peerSchema>;

/** What a node sees of the DHT. */
export const neighbourhoodSchema = z.object({
  nodeId: nodeIdSchema,
  /** Contacts in a full k-bucket. */
  k: countSchema,
  /** Contacts in the routing table in all. */
  known: countSchema,
  /** Nodes in the network, estimated from how close the closest are. */
  estimate: countSchema,
  peers: z.array(peerSchema).max(MAX_PEERS),
});
export type Neighbourhood = z.infer<typeof neighbourhoodSchema>;

const amountSchema = z.string().regex(/^-?\d+(\.\d+)?$/);

/** What was earned or spent, by currency; amounts in its smallest unit, as decimal text. */
export const moneySchema = z.object({
  direction: z.enum(['earned', 'spent']),
  accounts: z
    .array(
      z.object({
        currency: textSchema,
        /** Nodes on the other side. */
        peers: countSchema,
        owed: amountSchema,
        promised: amountSchema,
        settled: amountSchema,
        unpaid: amountSchema,
      }),
    )
    .max(20),
  /** Charged on each of the last days (UTC) on which anything was. */
  days: z
    .array(
      z.object({
        day: z.string().regex(/^\d{4}-\d{2}-\d{2}$/),
        currency: textSchema,
        charged: amountSchema,
      }),
    )
    .max(200),
});
export type Money = z.infer<typeof moneySchema>;
