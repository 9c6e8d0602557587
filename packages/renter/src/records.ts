import type { Contact } from '@granary/kad';
import type {
  Contract,
  ContractProposal,
  FarmerTerms,
  Manifest,
  Receipt,
  Renewal,
} from '@granary/protocol';
import type { Reputation } from './reputation.js';

/** Where an object is: a bucket's name and the object's name in it. */
export interface ObjectPath {
  readonly bucket: string;
  readonly name: string;
}

/** What a file looked like when its upload began, so that a resumed upload can tell a changed one. */
export interface SourceMark {
  readonly file: string;
  readonly size: number;
  readonly modified: number;
  readonly inode: number;
}

/** An upload that has begun and not ended. Kept until it ends, so that a crash loses no work. */
export interface UploadRecord {
  readonly id: string;
  readonly manifest: Omit<Manifest, 'size' | 'sha256' | 'segments'>;
  readonly source: SourceMark | null;
  /** The process that works on it. */
  readonly process: number;
  readonly started: number;
  /** It was given up: what it stored is becoming garbage. */
  readonly abandoned?: true;
}

/** A proposal that went, or may have gone, to a farmer: recorded before a byte moves. */
export interface ProposalRecord {
  readonly upload: string;
  readonly segment: number;
  readonly shard: number;
  readonly contract: string;
  readonly proposal: ContractProposal;
}

/** A contract in force and the receipt for its shard. */
export interface ContractRecord {
  readonly contract: Contract;
  readonly receipt: Receipt | null;
  /** The last renewal. */
  readonly renewal?: Renewal;
  /** What an audit or a read found: when, and why the shard counts as lost. */
  /** Precomputed challenges that have been asked. */
  readonly challenged?: number;
  readonly failed?: { readonly at: number; readonly reason: string };
}

/** A shard whose farmer has not yet confirmed that it is gone. */
export interface GarbageRecord {
  readonly contract: string;
  readonly farmer: string;
  readonly ends: number;
}

/** A farmer that this renter has met. */
export interface FarmerRecord {
  readonly contact: Contact;
  readonly terms: FarmerTerms;
  /** Round trip of the last question for its terms, in milliseconds. */
  readonly latencyMs: number;
  /** When it last answered, in milliseconds since the epoch. */
  readonly seen: number;
  /** Failures of transfers since its last success. */
  readonly failures: number;
  readonly reputation: Reputation;
}

/** Where a contract's shard belongs. */
export interface HoldingRecord {
  readonly objectId: string;
  readonly segment: number;
  readonly shard: number;
}

/** One who works on something that only one may work on, or reads what must not go yet. */
export interface LeaseRecord {
  readonly process: number;
  /** Where the process can be seen from, if that can be told. */
  readonly space?: string;
  /** Distinguishes holders within a process. */
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

/** When a farmer is audited next, in milliseconds since the epoch. */
export interface AuditSchedule {
  readonly next: number;
}

/** An object that somebody was given a link to. Times are milliseconds since the epoch. */
export interface ShareRow {
  /** 16 hex digits, from which its keys come. */
  readonly id: string;
  readonly bucket: string;
  readonly name: string;
  /** The version that is shared. */
  readonly objectId: string;
  readonly created: number;
  /** Null when it has no end. */
  readonly expires: number | null;
  /** How often every byte may be read. */
  readonly reads: number;
  readonly state: 'open' | ShareEnd;
  /** When it came to its end; null while it is open. */
  readonly ended: number | null;
  /** Until when farmers have leave to serve it. */
  readonly grantedUntil: number;
  /** Farmers that were ever granted it. */
  readonly farmers: readonly string[];
  /** Farmers that have still to be told that it was taken back. */
  readonly untold: readonly string[];
  /** Segments that each of its pages tells of, and how many pages there are. */
  readonly perPage: number;
  readonly pages: number;
  /** Number of the pages placed last. */
  readonly sequence: number;
  /** When its pages were last placed, all of them; 0 when that is still to be done. */
  readonly placed: number;
  /** Of where its shards were then. */
  readonly digest: string;
}

/** Why a share came to its end. */
export type ShareEnd = 'revoked' | 'deleted' | 'replaced';

/** Leave for somebody to list and read what is in a bucket, now and later. Times as in {@link ShareRow}. */
export interface GrantRow {
  /** 16 hex digits, from which its keys come. */
  readonly id: string;
  readonly bucket: string;
  /** What names in the scope begin with; all of the bucket when it is empty. */
  readonly prefix: string;
  readonly created: number;
  /** Null when it has no end. */
  readonly expires: number | null;
  /** How often every byte may be read. */
  readonly reads: number;
  readonly state: 'open' | 'revoked';
  /** When it was taken back; null while it is open. */
  readonly ended: number | null;
  /** Until when farmers have leave to serve it. */
  readonly grantedUntil: number;
  /** Farmers that were ever granted it. */
  readonly farmers: readonly string[];
  /** Farmers that have still to be told that it was taken back. */
  readonly untold: readonly string[];
  /** Objects in the scope when its catalogue was last written. */
  readonly objects: number;
  /** Its catalogues, objects of the index bucket: the last is in force when it was placed. */
  readonly catalogues: readonly string[];
  /** Where in the last catalogue the list begins. */
  readonly list: number;
  /** Number of the record placed last. */
  readonly sequence: number;
  /** When its record was last placed; 0 when that is still to be done. */
  readonly placed: number;
  /** Of what was in the scope when the last catalogue was written, and where. */
  readonly digest: string;
  /** Of where the catalogue's own shards were when the record was placed. */
  readonly catalogueDigest: string;
}

/** A change that the index in the network has still to learn of. */
export type LogRecord =
  | { readonly op: 'share'; readonly id: string }
  | { readonly op: 'grant'; readonly id: string }
  | { readonly op: 'object'; readonly bucket: string; readonly name: string }
  | {
      readonly op: 'segment';
      readonly bucket: string;
      readonly name: string;
      readonly objectId: string;
      readonly index: number;
    }
  | { readonly op: 'root' };

/** What of the index is in the network. */
export interface IndexState {
  /** Number of the last root record. */
  readonly sequence: number;
  /** The last entry of the log that the root record covers. */
  readonly covered: number;
  /** Its parts, oldest first: objects in the index bucket. */
  readonly parts: readonly IndexPart[];
}

/** A part of the index: the changes after log entry `from` up to `to`; all there was when `from` is 0. */
export interface IndexPart {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}
