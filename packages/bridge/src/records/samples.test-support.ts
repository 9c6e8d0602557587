import { systemRandom, toHex } from '@granary/kad';
import type { Manifest, SegmentRecord } from '@granary/protocol';
import type { RenterStore } from '@granary/renter';

type UploadRecord = Parameters<RenterStore['putUpload']>[0];
type ProposalRecord = Parameters<RenterStore['putProposals']>[0][number];
type ContractRecord = Parameters<Parameters<RenterStore['changeContract']>[1]>[0];

const hex = (bytes: number) => toHex(systemRandom(bytes));

/** An upload under way. */
export function uploadFor(bucket: string, name: string): UploadRecord {
  return {
    id: hex(8),
    manifest: {
      version: 1,
      objectId: hex(16),
      bucket,
      name,
      created: 1,
      scheme: { k: 1, repair: 1, success: 2, n: 2 },
      segmentSize: 1024,
      chunkSize: 512,
      cellSize: 512,
    },
    source: null,
    process: 1,
    started: 1,
  };
}

/** What becomes of an upload. */
export function manifestFor({ manifest }: UploadRecord, segments: number): Manifest {
  return { ...manifest, size: segments, sha256: hex(32), segments };
}

/** A proposal; of its terms only what the store looks at. */
export function proposalFor(upload: string, segment: number, shard: number): ProposalRecord {
  const proposal = { terms: { farmer: hex(32), end: 2 ** 50 } };
  return {
    upload,
    segment,
    shard,
    contract: hex(32),
    proposal: proposal as ProposalRecord['proposal'],
  };
}

/** The contract that a proposal became; of its terms only what the store looks at. */
export function contractFor({ proposal }: ProposalRecord): ContractRecord {
  const contract = { terms: proposal.terms } as ContractRecord['contract'];
  return { contract, receipt: null };
}

/** A segment with shards on the farmers of proposals. */
export function segmentFor(index: number, proposals: readonly ProposalRecord[]): SegmentRecord {
  return {
    index,
    salt: hex(32),
    length: 1,
    shardSize: 1,
    shards: proposals.map(({ shard, contract, proposal }) => ({
      index: shard,
      hash: hex(32),
      farmer: proposal.terms.farmer,
      contract,
    })),
  };
}
