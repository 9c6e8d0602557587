// Write openapi.json and the types of the client, from the description in the built sources.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { openApiDocument } from '../dist/rest/openapi-document.js';
import { openApiFiles } from './openapi-files.mjs';

for (const { url, text } of await openApiFiles(openApiDocument())) {
  // Only if it changes, so that nothing is built anew for nothing.
  if (text === (await readFile(url, 'utf8').catch(() => undefined))) continue;
  if (process.env.CI !== undefined) {
    // There, a build that mends what was committed would hide that it has to be.
    console.error(
      `${url.pathname} is not what the sources make: run "npm run build" and commit it`,
    );
    process.exit(1);
  }
  await mkdir(new URL('.', url), { recursive: true });
  await writeFile(url, text);
  console.log(`written: ${url.pathname}`);
}
