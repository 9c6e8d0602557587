// The pages' own files, kept so that pages can be opened without a network.
const CACHE = 'granary pages';
/** Files kept: a few versions of the pages. */
const MAX_FILES = 100;

/** A file of ours: from the network, and when that does not answer, as it was the last time. */
export async function fileOfPages(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const url = new URL(request.url);
  // What is behind the `#` may be a secret, and is none of the file's name.
  url.hash = '';
  const name = url.href;
  // Names of these change with their content.
  const settled = url.pathname.includes('/assets/');
  if (settled) {
    const kept = await cache.match(name);
    if (kept !== undefined) return kept;
  }
  try {
    const response = await fetch(request);
    if (response.ok && response.type === 'basic' && !response.redirected) {
      await cache.put(name, response.clone());
    }
    return response;
  } catch (error) {
    const kept = await cache.match(name, { ignoreSearch: true });
    if (kept !== undefined) return kept;
    throw error;
  }
}

/** Keep the newest files only. */
export async function forgetOldFiles(): Promise<void> {
  const cache = await caches.open(CACHE);
  const requests = await cache.keys();
  const old = requests.slice(0, Math.max(0, requests.length - MAX_FILES));
  await Promise.all(old.map((request) => cache.delete(request)));
}
