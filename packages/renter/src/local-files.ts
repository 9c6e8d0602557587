// Files of this machine, in Node. `#renter/local-files` in package.json chooses between this file and
// local-files.browser.ts; both export the same names.
export { openLocalFile } from './file-source.js';
export { readContentToFile, readObjectToFile } from './object-to-file.js';
export { exportStore, importStore } from './export-file.js';
