// The other end of the range-read benchmark: a plain HTTPS server of one file. Prints its port.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Identity, createTlsCredentials, systemClock } from '@granary/kad';

const [file = ''] = process.argv.slice(2);
const { size } = statSync(file);
const { key, cert } = await createTlsCredentials(Identity.generate(), systemClock);
const server = createServer({ key, cert }, (request, response) => {
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  const start = Number(range?.[1] ?? 0);
  const end = Math.min(Number(range?.[2] ?? size - 1), size - 1);
  response.writeHead(range === null ? 200 : 206, {
    'content-length': end - start + 1,
    ...(range !== null && { 'content-range': `bytes ${start}-${end}/${size}` }),
  });
  createReadStream(file, { start, end }).pipe(response);
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
