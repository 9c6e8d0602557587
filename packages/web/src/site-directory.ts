/** Where `npm run build` puts the pages: the folder to be served. */
export const siteDirectory: URL = new URL('../dist/site/', import.meta.url);
