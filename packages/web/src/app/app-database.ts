import { type DBSchema, type IDBPDatabase, openDB } from 'idb';

/** A handle whose permission can be asked for again (WICG File System Access; Chromium). */
export interface LastingHandle extends FileSystemFileHandle {
  queryPermission?(options: { mode: 'read' }): Promise<PermissionState>;
  requestPermission?(options: { mode: 'read' }): Promise<PermissionState>;
}

/** A transfer that is to go on after a reload. */
export interface SavedTransfer {
  readonly id: string;
  /** The node ID of whose it is. */
  readonly account: string;
  readonly kind: 'upload' | 'download';
  readonly bucket: string;
  readonly name: string;
  readonly size: number;
  readonly paused: boolean;
  readonly created: number;
  /** Of an upload: by what its file is known again, and the way back to it where the browser has one. */
  readonly file?: { readonly name: string; readonly modified: number };
  readonly handle?: LastingHandle;
  /** Of a download: the content whose pieces are kept. */
  readonly content?: string;
}

/** The master secret of who wants to stay signed in, under a key that scripts can use and not read. */
export interface KeptSecret {
  readonly key: CryptoKey;
  readonly nonce: Uint8Array<ArrayBuffer>;
  readonly sealed: ArrayBuffer;
}

interface Schema extends DBSchema {
  kept: { key: string; value: KeptSecret };
  transfers: { key: string; value: SavedTransfer };
}

/** What the app keeps besides the renter's own store. */
export type AppDatabase = IDBPDatabase<Schema>;

/** Open it; all tabs have the same. */
export async function openAppDatabase(): Promise<AppDatabase> {
  const db: AppDatabase = await openDB<Schema>('granary-app', 1, {
    upgrade: (fresh) => {
      fresh.createObjectStore('kept');
      fresh.createObjectStore('transfers', { keyPath: 'id' });
    },
    blocking: () => db.close(),
  });
  return db;
}
