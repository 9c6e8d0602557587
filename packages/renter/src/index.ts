export * from './index.browser.js';
// What needs Node.
export { loadKeyFile, saveKeyFile } from './key-file.js';
export { LmdbRecords } from './lmdb-records.js';
