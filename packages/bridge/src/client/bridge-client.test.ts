import { type RequestListener, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { BridgeProblem, answerOf, createBridgeClient } from './index.js';

async function against(
  listener: RequestListener,
  work: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

it('what is no bridge is told from one', () =>
  against(
    (_request, response) => response.writeHead(502).end('<html>Bad Gateway'),
    async (url) => {
      const failed = await createBridgeClient({ url })
        .GET('/users')
        .then(answerOf)
        .catch((error: unknown) => error);
      expect(failed).toBeInstanceOf(BridgeProblem);
      expect(failed).toMatchObject({ status: 502, code: 'Unknown', problem: undefined });
    },
  ));

it('a problem is thrown with its code', () => {
  const problem = {
    type: 'urn:problem-type:granary:NoSuchUser',
    title: 'There is no such user',
    status: 404,
    detail: 'There is no such user',
    code: 'NoSuchUser',
    requestId: 'X',
  };
  return against(
    (_request, response) => response.writeHead(404).end(JSON.stringify(problem)),
    async (url) => {
      const asked = createBridgeClient({ url }).GET('/users');
      await expect(asked.then(answerOf)).rejects.toMatchObject({ code: 'NoSuchUser', problem });
    },
  );
});

it('credentials are sent as they are, whichever they are, and to the path of the API', async () => {
  const seen: string[] = [];
  await against(
    ({ url, headers }, response) => {
      seen.push(`${url} ${headers.authorization}`);
      response.end('{"users":[],"next":null}');
    },
    async (url) => {
      const key = { accessKeyId: 'GRKEY', secretAccessKey: 'secret' };
      await createBridgeClient({ url, credentials: key }).GET('/users');
      await createBridgeClient({ url: `${url}/`, credentials: { token: 'gs_x' } }).GET('/users', {
        params: { query: { after: 'ä/&' } },
      });
      await createBridgeClient({ url }).GET('/users');
    },
  );
  expect(seen).toEqual([
    `/_granary/v1/users Basic ${Buffer.from('GRKEY:secret').toString('base64')}`,
    '/_granary/v1/users?after=%C3%A4%2F%26 Bearer gs_x',
    '/_granary/v1/users undefined',
  ]);
});
