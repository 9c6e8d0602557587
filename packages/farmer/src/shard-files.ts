import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  HASH_SIZE,
  LEAF_SIZE,
  STREAM_LEVEL,
  ShardHasher,
  ShardTree,
  equalBytes,
  fromHex,
  leafCount,
  levelCount,
} from '@granary/protocol';
import { FarmerError } from './errors.js';
import { type ShardTrailer, encodeTrailer, readTrailer } from './shard-trailer.js';

/** Turn what the file system says into what a renter may be told. */
function diskError(error: unknown): FarmerError {
  if (error instanceof FarmerError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new FarmerError('FARMER_FULL', "the farmer's disk is full", { cause: error });
  }
  return new FarmerError('FARMER_DISK', `the farmer's disk failed (${code})`, { cause: error });
}

/** Stands before the nodes in a shard's file; older files, and those of small shards, have none. */
const NODES_MAGIC = Buffer.from('GRANODE\u0001', 'latin1');

/** How many nodes stand in a shard's file: none where they would be one. */
function streamNodeCount(size: number): number {
  const count = levelCount(leafCount(size), STREAM_LEVEL);
  return count > 1 ? count : 0;
}

/** Nodes as a shard's file has them: without them every download would have to make them of the leaves. */
function streamNodesOf(tree: ShardTree): Uint8Array {
  const none = streamNodeCount(tree.size) === 0;
  return none ? new Uint8Array(0) : Buffer.concat([NODES_MAGIC, tree.nodes(STREAM_LEVEL)]);
}

/** @throws FarmerError FARMER_WRONG_BYTES when a tree is not that of a shard of some bytes and of this hash. */
function checkRoot(tree: ShardTree, size: number, shardHash: string): void {
  if (tree.size !== size || !equalBytes(tree.root(), fromHex(shardHash))) {
    throw new FarmerError('FARMER_WRONG_BYTES', 'the bytes are not those of the shard hash');
  }
}

/** What follows a shard's bytes in its file. */
function tailOf(tree: ShardTree, trailer: ShardTrailer): Buffer {
  return Buffer.concat([tree.leaves(), streamNodesOf(tree), encodeTrailer(trailer)]);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  await directory.sync().finally(() => directory.close());
}

/**
 * The files of the shards: one for each, named by its contract's hash. A file holds the shard's
 * bytes, then the leaf hashes of its tree, so that proofs cost no second reading, then the nodes that whole shards
 * are sent with, then a trailer with its contract ({@link ShardTrailer}). What is not complete lies in a directory of its own
 * until it is; what nobody can make sense of is put aside, never deleted.
 */
export class ShardFiles {
  private readonly partials: string;
  private readonly shards: string;
  private readonly quarantine: string;
  private readonly made = new Set<string>();

  constructor(directory: string) {
    this.partials = join(directory, 'partial');
    this.shards = join(directory, 'shards');
    this.quarantine = join(directory, 'quarantine');
  }

  /** Make the directories. */
  async prepare(): Promise<void> {
    await mkdir(this.partials, { recursive: true, mode: 0o700 });
    await mkdir(this.shards, { recursive: true, mode: 0o700 });
  }

  /** Open the part of a shard that is there, or a new one. */
  async openPartial(contract: string, size: number): Promise<PartialShard> {
    try {
      const path = join(this.partials, contract);
      const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
      return await PartialShard.resume(file, path, this.pathOf(contract), size, (target) =>
        this.place(path, target),
      );
    } catch (error) {
      throw diskError(error);
    }
  }

  /**
   * Check a shard that came in one piece and put it in its place, durable when the promise resolves. What was there of it
   * as a part is overwritten.
   *
   * @throws FarmerError FARMER_WRONG_BYTES before anything is written; FARMER_FULL or FARMER_DISK, and no part is left.
   */
  async keepWhole(contract: string, bytes: Uint8Array, trailer: ShardTrailer): Promise<void> {
    const { shardSize, shardHash } = trailer.contract.terms;
    const hasher = new ShardHasher();
    hasher.update(bytes);
    const tree = hasher.finish();
    checkRoot(tree, shardSize, shardHash);
    const path = join(this.partials, contract);
    try {
      const file = await open(path, 'w', 0o600);
      try {
        await writeAll(file, [bytes, tailOf(tree, trailer)], 0);
        await file.datasync();
      } finally {
        await file.close();
      }
      await this.place(path, this.pathOf(contract));
    } catch (error) {
      await rm(path, { force: true }).catch(() => undefined);
      throw diskError(error);
    }
  }

  /** Names of the parts that lie about. */
  listPartials(): Promise<string[]> {
    return readdir(this.partials);
  }

  async removePartial(contract: string): Promise<void> {
    await rm(join(this.partials, contract), { force: true });
  }

  /** Remove a shard; durable when the promise resolves. */
  async removeShard(contract: string): Promise<void> {
    const path = this.pathOf(contract);
    await rm(path, { force: true });
    await syncDirectory(dirname(path)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }

  /** Whether a shard's file is there at its full length. */
  async hasShard(contract: string, size: number): Promise<boolean> {
    const found = await stat(this.pathOf(contract)).catch(() => undefined);
    return found !== undefined && found.size >= size + leafCount(size) * HASH_SIZE;
  }

  /** The trailer of a shard's file; undefined when there is no whole one. */
  async trailer(contract: string): Promise<ShardTrailer | undefined> {
    const file = await open(this.pathOf(contract), 'r');
    try {
      return await readTrailer(file);
    } finally {
      await file.close();
    }
  }

  /** Add a trailer at the end of a shard's file; the last one counts. Durable when it resolves. */
  async appendTrailer(contract: string, trailer: ShardTrailer): Promise<void> {
    const file = await open(this.pathOf(contract), 'r+').catch((error: unknown) => {
      throw diskError(error);
    });
    try {
      const { size } = await file.stat();
      await writeAll(file, [encodeTrailer(trailer)], size);
      await file.datasync();
    } catch (error) {
      throw diskError(error);
    } finally {
      await file.close();
    }
  }

  /** Put a file aside that can't be made sense of. */
  async putAside(contract: string): Promise<void> {
    await mkdir(this.quarantine, { recursive: true, mode: 0o700 });
    await rename(this.pathOf(contract), join(this.quarantine, contract));
    await syncDirectory(this.quarantine);
  }

  /**
   * Open a shard for reading.
   *
   * @throws FarmerError FARMER_NOT_FOUND or FARMER_DISK.
   */
  async openShard(contract: string, size: number): Promise<StoredShard> {
    let file: FileHandle;
    try {
      file = await open(this.pathOf(contract), 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        throw new FarmerError('FARMER_NOT_FOUND', 'the shard is lost here');
      }
      throw diskError(error);
    }
    return new StoredShard(file, size);
  }

  /** Names of all shard files. For recovery and scrubbing. */
  async *listShards(): AsyncGenerator<string> {
    for (const prefix of await readdir(this.shards)) {
      if (!/^[0-9a-f]{2}$/.test(prefix)) continue;
      for (const name of await readdir(join(this.shards, prefix))) {
        if (/^[0-9a-f]{64}$/.test(name) && name.startsWith(prefix)) yield name;
      }
    }
  }

  private pathOf(contract: string): string {
    return join(this.shards, contract.slice(0, 2), contract);
  }

  private async place(partial: string, target: string): Promise<void> {
    const directory = dirname(target);
    if (!this.made.has(directory)) {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await syncDirectory(this.shards);
      this.made.add(directory);
    }
    await rename(partial, target);
    await syncDirectory(directory);
  }
}

/** A shard on its way in. */
export class PartialShard {
  private closed = false;

  private constructor(
    private readonly file: FileHandle,
    private readonly path: string,
    private readonly target: string,
    private readonly size: number,
    private readonly hasher: ShardHasher,
    private readonly place: (target: string) => Promise<void>,
  ) {}

  /** Read back what is there, to whole leaves, and make it durable: from there the upload goes on. */
  static async resume(
    file: FileHandle,
    path: string,
    target: string,
    size: number,
    place: (target: string) => Promise<void>,
  ): Promise<PartialShard> {
    try {
      const { size: length } = await file.stat();
      const kept = length >= size ? size : Math.floor(length / LEAF_SIZE) * LEAF_SIZE;
      const hasher = new ShardHasher();
      const buffer = Buffer.allocUnsafe(Math.min(64 * LEAF_SIZE, kept));
      while (hasher.size < kept) {
        const want = Math.min(buffer.length, kept - hasher.size);
        const { bytesRead } = await file.read(buffer, 0, want, hasher.size);
        if (bytesRead === 0) throw new FarmerError('FARMER_DISK', 'the part is cut short');
        hasher.update(buffer.subarray(0, bytesRead));
      }
      if (length > kept) await file.truncate(kept);
      if (kept > 0) await file.datasync();
      return new PartialShard(file, path, target, size, hasher, place);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Bytes that are here. */
  get offset(): number {
    return this.hasher.size;
  }

  /** Add bytes at the end. @throws FarmerError FARMER_WRONG_BYTES, FARMER_FULL or FARMER_DISK. */
  async append(...parts: readonly Uint8Array[]): Promise<void> {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (this.offset + length > this.size) {
      throw new FarmerError('FARMER_WRONG_BYTES', `the shard has ${this.size} bytes, more came`);
    }
    try {
      await writeAll(this.file, parts, this.offset);
      for (const part of parts) this.hasher.update(part);
    } catch (error) {
      throw diskError(error);
    }
  }

  /**
   * Check the whole shard and put it in its place, durable when the promise resolves.
   *
   * @throws FarmerError FARMER_WRONG_BYTES when it is not the shard of this hash: it is removed.
   */
  async finish(shardHash: string, trailer: ShardTrailer): Promise<void> {
    const tree = this.hasher.finish();
    try {
      checkRoot(tree, this.size, shardHash);
    } catch (error) {
      await this.discard();
      throw error;
    }
    try {
      await writeAll(this.file, [tailOf(tree, trailer)], this.size);
      await this.file.datasync();
      await this.close();
      await this.place(this.target);
    } catch (error) {
      throw diskError(error);
    }
  }

  /** Keep what is here, for later. */
  async suspend(): Promise<void> {
    if (this.closed) return;
    try {
      await this.file.datasync();
    } finally {
      await this.close();
    }
  }

  /** Throw away what is here. */
  async discard(): Promise<void> {
    await this.close();
    await rm(this.path, { force: true });
  }

  private async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.file.close();
  }
}

async function writeAll(
  file: FileHandle,
  parts: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let left = [...parts];
  for (let at = position; left.length > 0;) {
    let { bytesWritten: written } = await file.writev(left, at);
    at += written;
    while (left.length > 0 && written >= left[0]!.length) written -= left.shift()!.length;
    if (written > 0) left = [left[0]!.subarray(written), ...left.slice(1)];
  }
}

/** A whole shard, open for reading. */
export class StoredShard {
  constructor(
    private readonly file: FileHandle,
    readonly size: number,
  ) {}

  /**
   * The shard's tree from a level up, from the stored hashes.
   *
   * @throws FarmerError FARMER_DISK.
   */
  async tree(level = 0): Promise<ShardTree> {
    if (level >= STREAM_LEVEL) {
      const nodes = await this.streamNodes();
      if (nodes !== undefined) return ShardTree.fromNodes(this.size, STREAM_LEVEL, nodes);
    }
    const leaves = new Uint8Array(leafCount(this.size) * HASH_SIZE);
    await this.readFully(leaves, this.size);
    return ShardTree.fromLeaves(this.size, leaves);
  }

  /** The stored nodes of the level that shards are sent with; undefined where there are none. */
  private async streamNodes(): Promise<Uint8Array | undefined> {
    const nodes = streamNodeCount(this.size);
    if (nodes === 0) return undefined;
    const stored = new Uint8Array(NODES_MAGIC.length + nodes * HASH_SIZE);
    // In older files a trailer follows, which may be shorter.
    const count = await this.readSome(stored, this.size + leafCount(this.size) * HASH_SIZE);
    const begin = stored.subarray(0, NODES_MAGIC.length);
    if (count < stored.length || !equalBytes(begin, NODES_MAGIC)) return undefined;
    return stored.subarray(NODES_MAGIC.length);
  }

  /**
   * Whether every byte is as it was when the shard was stored.
   *
   * @throws FarmerError FARMER_DISK when it can't be read to its end.
   */
  async matches(shardHash: string): Promise<boolean> {
    const hasher = new ShardHasher();
    const buffer = Buffer.allocUnsafe(Math.min(1024 * 1024, Math.max(1, this.size)));
    while (hasher.size < this.size) {
      const bytes = buffer.subarray(0, Math.min(buffer.length, this.size - hasher.size));
      await this.readFully(bytes, hasher.size);
      hasher.update(bytes);
    }
    const tree = hasher.finish();
    const stored = await this.tree();
    const nodes = await this.streamNodes();
    return (
      equalBytes(tree.root(), fromHex(shardHash)) &&
      equalBytes(tree.leaves(), stored.leaves()) &&
      (nodes === undefined || equalBytes(tree.nodes(STREAM_LEVEL), nodes))
    );
  }

  /** Fill an array from an offset. @throws FarmerError FARMER_DISK. */
  async readFully(into: Uint8Array, offset: number): Promise<void> {
    if ((await this.readSome(into, offset)) < into.length) {
      throw new FarmerError('FARMER_DISK', 'the shard is cut short here');
    }
  }

  /** Fill an array from an offset, as far as the file goes. @returns bytes that were there */
  private async readSome(into: Uint8Array, offset: number): Promise<number> {
    try {
      let at = 0;
      while (at < into.length) {
        const { bytesRead } = await this.file.read(into, at, into.length - at, offset + at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      return at;
    } catch (error) {
      throw diskError(error);
    }
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
