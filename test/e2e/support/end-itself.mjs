// Loaded into a process before its own program (`node --import`): sends the process a signal as soon as files are
// there. Whoever looks from outside may look too late when the machine is busy; this can't, since the process itself
// does nothing while it looks. END_ITSELF has the options as JSON: `folders`, what the files' names begin with
// (`prefix`), how many files (`files`) with how many bytes together (`bytes`) there must be, and the `signal`.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';

const { folders, prefix = '', files = 1, bytes = 0, signal } = JSON.parse(process.env.END_ITSELF);

function isThere() {
  let [count, size] = [0, 0];
  for (const folder of folders) {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.startsWith(prefix)) continue;
      count += 1;
      if (bytes > 0) {
        size += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
      }
    }
  }
  return count >= files && size >= bytes;
}

/** As above; no when a folder was removed meanwhile. */
function looks() {
  try {
    return isThere();
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return false;
  }
}

function later() {
  const timer = setTimeout(() => {
    if (looks()) process.kill(process.pid, signal);
    else later();
  }, 10);
  timer.unref();
}
if (isMainThread) later();
