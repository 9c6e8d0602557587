/* global File, crypto, navigator */
// A page that puts and gets, and says how long it took. The benchmark calls `globalThis.measured`.
import { Renter, RenterKeys } from '@granary/renter';

const quiet = () => undefined;
const logger = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };
const path = { bucket: 'bench', name: 'object' };
let renter;
let file;

const timed = async (work) => {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
};

globalThis.measured = {
  async open(bootstrap, name) {
    renter = await Renter.open({
      directory: name,
      keys: RenterKeys.fromEntropy(crypto.getRandomValues(new Uint8Array(32))),
      bootstrap,
      logger,
    });
    await renter.join();
  },
  /** Write a file of the page's own: it is on the disk, and not in memory. */
  async prepare(size) {
    const folder = await navigator.storage.getDirectory();
    const handle = await folder.getFileHandle('source', { create: true });
    const target = await handle.createWritable();
    const part = new Uint8Array(1024 * 1024);
    for (let at = 0; at < size; at += part.length) {
      for (let i = 0; i < part.length; i += 65_536) {
        crypto.getRandomValues(part.subarray(i, i + 65_536));
      }
      await target.write(part.subarray(0, Math.min(part.length, size - at)));
    }
    await target.close();
    const found = await handle.getFile();
    file = new File([found], 'source', { lastModified: found.lastModified });
  },
  put: () => timed(() => renter.put(path, { kind: 'blob', blob: file })),
  get: () =>
    timed(async () => {
      let size = 0;
      for await (const part of renter.get(path)) size += part.length;
      if (size !== file.size) throw new Error('the get was short');
    }),
  /** The same bytes from one server, as they are. */
  fetch: (url) =>
    timed(async () => {
      const { body } = await fetch(url);
      for await (const part of body) void part;
    }),
  /** What scripts of this page hold, in bytes; null where the browser does not say. */
  memory: async () =>
    performance.measureUserAgentSpecificMemory === undefined
      ? null
      : (await performance.measureUserAgentSpecificMemory()).bytes,
  close: () => renter.close(),
};
