import type { AppDatabase } from './app-database.js';

const KEY = 'session';
const NONCE_BYTES = 12;

/**
 * Keep the master secret on this device. It lies encrypted in IndexedDB (AES-256-GCM), and its key beside
 * it is one that no script can read: whoever copies the database's values has neither. Whoever can run
 * code in this origin, or copies the browser's whole profile, can use the key all the same.
 */
export async function keepSecret(db: AppDatabase, secret: Uint8Array): Promise<void> {
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, [
    'encrypt',
    'decrypt',
  ]);
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const sealed = await crypto.subtle.encrypt(
    { name: 'AES-GCM', iv: nonce },
    key,
    new Uint8Array(secret),
  );
  await db.put('kept', { key, nonce, sealed }, KEY);
}

/** The secret that was kept; undefined when none was, or when it can't be read any more. */
export async function keptSecret(db: AppDatabase): Promise<Uint8Array | undefined> {
  const kept = await db.get('kept', KEY);
  if (kept === undefined) return undefined;
  const { key, nonce, sealed } = kept;
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv: nonce }, key, sealed));
  } catch {
    return undefined;
  }
}

/** Keep it no longer. */
export function forgetSecret(db: AppDatabase): Promise<void> {
  return db.delete('kept', KEY);
}
