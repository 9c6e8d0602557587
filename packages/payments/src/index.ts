export * from './index.browser.js';
// What needs Node.
export { LmdbRows } from './lmdb-rows.js';
