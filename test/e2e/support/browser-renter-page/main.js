/* global Blob, File, crypto, navigator */
// A page that stores and reads objects. The test calls `globalThis.renting`.
import { Renter, RenterKeys, entropyFromWords } from '@granary/renter';

const silent = () => undefined;
const logger = { trace: silent, debug: silent, info: silent, warn: silent, error: silent };
let renter;
let progress;
let running;

/** The same bytes as `pattern` in the test: they don't compress, and need not be kept. */
function pattern(size, seed) {
  const words = new Uint32Array(Math.ceil(size / 4));
  let x = seed;
  for (let i = 0; i < words.length; i += 1) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer, 0, size);
}

async function hashOf(blob) {
  const hash = await crypto.subtle.digest('SHA-256', await blob.arrayBuffer());
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

const report = (error) => {
  if (error.code === undefined) throw error;
  return { code: error.code, message: error.message };
};

globalThis.renting = {
  async open({ words, bootstrap, settings = {} }) {
    renter = await Renter.open({
      directory: 'test',
      keys: RenterKeys.fromEntropy(entropyFromWords(words)),
      bootstrap,
      logger,
      settings,
    });
    await renter.join();
  },
  async put(name, size, seed, type = 'file') {
    const bytes = pattern(size, seed);
    const options = { onProgress: (p) => (progress = p) };
    const path = { bucket: 'web', name };
    const source =
      type === 'stream'
        ? { kind: 'stream', stream: new Blob([bytes]).stream() }
        : { kind: 'blob', blob: new File([bytes], name, { lastModified: 1_700_000_000_000 }) };
    const begun = performance.now();
    try {
      const { manifest, resumedSegments, shards, garbage, indexFailure } = await renter.put(
        path,
        source,
        options,
      );
      const ms = performance.now() - begun;
      return { sha256: manifest.sha256, resumedSegments, shards, garbage, indexFailure, ms };
    } catch (error) {
      return report(error);
    }
  },
  /** Begin a put that does not come to its end: bytes from a place on never come. */
  begin(name, size, seed, from) {
    progress = undefined;
    const { slice } = File.prototype;
    File.prototype.slice = function (start, ...rest) {
      const part = slice.call(this, start, ...rest);
      if (start >= from) part.arrayBuffer = () => new Promise(() => undefined);
      return part;
    };
    running = this.put(name, size, seed);
  },
  ended: () => running,
  progress: () => progress,
  /** Read by pieces as they come. */
  async get(name, range = {}) {
    const begun = performance.now();
    const parts = [];
    try {
      for await (const part of renter.get({ bucket: 'web', name }, range)) parts.push(part);
      const blob = new Blob(parts);
      return { size: blob.size, sha256: await hashOf(blob), ms: performance.now() - begun };
    } catch (error) {
      return report(error);
    }
  },
  /** Read into a file of the origin private file system. */
  async getToFile(name) {
    const folder = await navigator.storage.getDirectory();
    const handle = await folder.getFileHandle('copy', { create: true });
    const { resumedBytes } = await renter.getToFile({ bucket: 'web', name }, handle);
    const file = await handle.getFile();
    return { size: file.size, sha256: await hashOf(file), resumedBytes };
  },
  async list() {
    const found = [];
    for await (const { name, size } of renter.list('web')) found.push({ name, size });
    return found;
  },
  stat: (name) => renter.stat({ bucket: 'web', name }),
  delete: (name) => renter.delete({ bucket: 'web', name }).catch(report),
  recover: () => renter.recover(),
  status: () => renter.status(),
  standings: async () =>
    (await renter.standings()).map(({ record, explanation }) => ({
      nodeId: record.contact.nodeId,
      explanation,
    })),
  close: () => renter.close(),
};
