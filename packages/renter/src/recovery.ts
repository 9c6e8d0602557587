import { type Contact, messageOf } from '@granary/kad';
import { GET_ROOT_METHOD, type RootRecord, parseRootRecord, rootKeyOf } from '@granary/protocol';
import { all } from './all.js';
import { adoptContractsOf } from './contract-review.js';
import { RenterError } from './errors.js';
import { type IndexLine, openRoot, unpackLines } from './index-format.js';
import { readObject } from './object-download.js';
import type { RenterCore } from './renter-core.js';

/** What a recovery brought back. */
export interface RecoveryReport {
  readonly objects: number;
  readonly bytes: number;
  /** Number of the root record that it came from. */
  readonly sequence: number;
  /** Farmers that hold shards of ours and could not be asked for their contracts yet. */
  readonly unreachable: readonly { readonly farmer: string; readonly reason: string }[];
}

const TIMEOUT_MS = 10_000;
/** Nodes asked for the root record beyond those nearest to it. */
const EXTRA_NODES = 64;
const BATCH = 256;
const PARALLEL = 8;

/**
 * Bring back every object from the network, with nothing but the keys.
 *
 * @throws RenterError RENTER_NOT_EMPTY when there are objects here, RENTER_NOTHING_TO_RECOVER when
 * no node has a root record of these keys.
 */
export async function recover(core: RenterCore, signal: AbortSignal): Promise<RecoveryReport> {
  const { store, keys, clock, logger } = core;
  if (!(await store.isEmpty())) {
    throw new RenterError(
      'RENTER_NOT_EMPTY',
      'there are objects here already: recover into an empty --home',
    );
  }
  const record = await findRoot(core, signal);
  const root = await openRoot(keys, record);
  const restorer = new Restorer(core);
  for (const { manifest, segments } of root.parts) {
    await restorer.apply({ t: 'object', manifest });
    for (const segment of segments) {
      await restorer.apply({ t: 'segment', objectId: manifest.objectId, segment });
    }
  }
  await restorer.flush();
  for (const { manifest } of root.parts) {
    const all = { offset: 0, length: manifest.size, patient: true };
    const bytes = readObject(core, manifest, all, undefined, signal);
    for await (const line of unpackLines(bytes)) await restorer.apply(line);
  }
  for (const line of root.lines) await restorer.apply(line);
  await restorer.flush();
  // The old parts are no use to what will be written here: all is published anew, then they go.
  await store.putIndexState({ sequence: record.body.sequence, covered: root.covered, parts: [] });

  const unreachable: { farmer: string; reason: string }[] = [];
  const holders = await all(store.holders());
  const work = async () => {
    for (let farmer = holders.pop(); farmer !== undefined; farmer = holders.pop()) {
      try {
        await adoptContractsOf(core, farmer, signal);
      } catch (error) {
        signal.throwIfAborted();
        logger.info({ farmer, error: messageOf(error) }, 'contracts could not be fetched');
        unreachable.push({ farmer, reason: messageOf(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  let [objects, bytes] = [0, 0];
  for await (const bucket of store.buckets()) {
    for await (const { size } of store.manifests(bucket, '', '')) {
      objects += 1;
      bytes += size;
    }
  }
  logger.info({ objects, at: clock.now() }, 'recovered');
  return { objects, bytes, sequence: record.body.sequence, unreachable };
}

/** The newest root record that any node has. */
async function findRoot(core: RenterCore, signal: AbortSignal): Promise<RootRecord> {
  const { network, keys, logger } = core;
  const { nodeId } = keys.identity;
  await network.join();
  const { contacts } = await network.node.lookup(rootKeyOf(nodeId), { signal });
  const others = network.node
    .contacts()
    .filter((contact) => !contacts.some((near) => near.nodeId === contact.nodeId))
    .slice(0, EXTRA_NODES);
  let newest: RootRecord | undefined;
  let answered = 0;
  const ask = async (contact: Contact) => {
    try {
      const options = { signal, timeoutMs: TIMEOUT_MS };
      const answer = await network.node.call(contact, GET_ROOT_METHOD, {}, options);
      answered += 1;
      const { record } = answer as { record?: unknown };
      if (record === null || record === undefined) return;
      const found = parseRootRecord(record, nodeId);
      if (newest === undefined || found.body.sequence > newest.body.sequence) newest = found;
    } catch (error) {
      logger.debug({ node: contact.nodeId, error: messageOf(error) }, 'no root record had');
    }
  };
  await Promise.all([...contacts, ...others].map(ask));
  signal.throwIfAborted();
  if (newest !== undefined) return newest;
  throw new RenterError(
    'RENTER_NOTHING_TO_RECOVER',
    `none of the ${answered} nodes that answered has anything of node ${nodeId}: check the words, ` +
      'and that the bootstrap address is of the right network',
  );
}

/** Writes lines into the store, segments in batches. */
class Restorer {
  private pending: Extract<IndexLine, { t: 'segment' }>[] = [];

  constructor(private readonly core: RenterCore) {}

  async apply(line: IndexLine): Promise<void> {
    const { store } = this.core;
    if (line.t === 'segment') {
      this.pending.push(line);
      if (this.pending.length >= BATCH) await this.flush();
      return;
    }
    await this.flush();
    // Whoever has the words makes its pages anew.
    if (line.t === 'share') return store.restoreShare({ ...line.share, placed: 0, digest: '' });
    if (line.t === 'unshared') {
      const share = await store.share(line.id);
      return share && store.removeShare(share);
    }
    if (line.t === 'grant') {
      const anew = { placed: 0, digest: '', catalogueDigest: '', catalogues: [] };
      return store.restoreGrant({ ...line.grant, ...anew });
    }
    if (line.t === 'ungranted') {
      const grant = await store.grant(line.id);
      return grant && store.removeGrant(grant);
    }
    if (line.t === 'object') return store.restoreObject(line.manifest);
    const manifest = await store.manifest(line);
    if (manifest !== undefined) await store.forgetObject(manifest);
  }

  async flush(): Promise<void> {
    if (this.pending.length === 0) return;
    await this.core.store.restoreSegments(this.pending);
    this.pending = [];
  }
}
