import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { NatError } from '../errors.js';
import { askGateway, gatewayUrl } from './gateway-http.js';
import {
  ROUTER,
  STRANGER,
  description,
  environment,
  fault,
  gateway,
  httpServer,
  listening,
  request,
  searchAnswer,
  soap,
  udpServer,
} from './hostile-router.test-support.js';
import { NatPmpClient } from './nat-pmp-client.js';
import { PcpClient } from './pcp-client.js';
import { UpnpClient } from './upnp-client.js';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
function keep<T extends { close(): Promise<void> }>(server: T): T {
  closing.push(() => server.close());
  return server;
}
async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'done',
    (error: NatError) => error.code,
  );
}

describe('a router asked by UDP', () => {
  it('that does not exist is known at once', async () => {
    const gone = await udpServer(() => undefined);
    await gone.close();
    const begun = performance.now();
    const client = new PcpClient(gateway, environment({ pcp: gone.port }));
    expect(await codeOf(client.map(request()))).toBe('NAT_NO_ANSWER');
    expect(performance.now() - begun).toBeLessThan(2_000);
  });

  it('that is silent is asked four times, and given up', async () => {
    let asked = 0;
    const { port } = keep(await udpServer(() => (asked += 1)));
    const client = new NatPmpClient(gateway, environment({ pcp: port }));
    expect(await codeOf(client.map(request()))).toBe('NAT_NO_ANSWER');
    expect(asked).toBe(4);
  });

  it('that answers with too much, or with nonsense without end, is given up', async () => {
    const large = keep(await udpServer((_, reply) => reply(new Uint8Array(1_500))));
    const client = new PcpClient(gateway, environment({ pcp: large.port }));
    expect(await codeOf(client.map(request()))).toBe('NAT_TOO_LARGE');
    const flood = keep(
      await udpServer((_, reply) => {
        for (let i = 0; i < 200; i += 1) reply(Uint8Array.of(2, 129));
      }),
    );
    const other = new PcpClient(gateway, environment({ pcp: flood.port }));
    expect(await codeOf(other.map(request()))).toBe('NAT_BAD_ANSWER');
  });

  it('that grants port 0, or no time, grants nothing', async () => {
    const { port } = keep(
      await udpServer((message, reply) => {
        if (message[1] === 0) reply(Uint8Array.of(0, 128, 0, 0, 0, 0, 0, 1, 203, 0, 113, 1));
        else reply(Buffer.from('008200000000000111f8000000000e10', 'hex'));
      }),
    );
    const client = new NatPmpClient(gateway, environment({ pcp: port }));
    expect(await codeOf(client.map(request()))).toBe('NAT_BAD_ANSWER');
  });

  it('is not mixed up with somebody else who answers', async () => {
    // The router is silent; a stranger sends what would be a valid answer to the very socket.
    const stranger = keep(await udpServer(() => undefined, STRANGER));
    const router = keep(await udpServer(() => undefined));
    router.socket.on('message', (_, from) => {
      const valid = Uint8Array.of(0, 128, 0, 0, 0, 0, 0, 1, 6, 6, 6, 6);
      stranger.socket.send(valid, from.port, from.address);
    });
    const client = new NatPmpClient(gateway, environment({ pcp: router.port }));
    expect(await codeOf(client.map(request()))).toBe('NAT_NO_ANSWER');
  });

  it('is not waited for when we stop', async () => {
    const { port } = keep(await udpServer(() => undefined));
    const controller = new AbortController();
    const client = new PcpClient(gateway, environment({ pcp: port }));
    const asked = codeOf(client.map(request({ signal: controller.signal })));
    controller.abort();
    expect(await asked).toBe('NAT_ABORTED');
  });
});

describe('a router asked over HTTP', () => {
  const ask = (url: URL, signal = AbortSignal.timeout(3_000)) =>
    askGateway({ gateway: ROUTER, url, method: 'GET', maxBytes: 10_000, signal });

  it('that answers with megabytes is cut off', async () => {
    let sent = 0;
    const { url } = keep(
      await httpServer((_, response) => {
        const part = Buffer.alloc(64 * 1024, 'a');
        const more = () => {
          while (!response.destroyed && sent < 64 * 1024 * 1024) {
            sent += part.length;
            if (!response.write(part)) return response.once('drain', more);
          }
          return undefined;
        };
        more();
      }),
    );
    expect(await codeOf(ask(url))).toBe('NAT_TOO_LARGE');
    expect(sent).toBeLessThan(16 * 1024 * 1024);
  });

  it('that sends headers without end is cut off', async () => {
    const { url } = keep(
      await listening(
        createServer((socket) => {
          socket.write('HTTP/1.1 200 OK\r\n');
          const line = `x-${'a'.repeat(1_000)}: ${'b'.repeat(1_000)}\r\n`;
          const timer = setInterval(() => socket.write(line.repeat(10)), 1);
          socket.on('close', () => clearInterval(timer));
        }),
      ),
    );
    expect(await codeOf(ask(url))).toBe('NAT_TOO_LARGE');
  });

  it('that sends a byte now and then has a time for all of it', async () => {
    const { url } = keep(
      await httpServer((_, response) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write('a'), 20);
        response.on('close', () => clearInterval(timer));
      }),
    );
    const begun = performance.now();
    await expect(ask(url, AbortSignal.timeout(300))).rejects.toThrow();
    expect(performance.now() - begun).toBeLessThan(3_000);
  });

  it('that sends us elsewhere is not followed', async () => {
    let visited = 0;
    const elsewhere = keep(
      await httpServer((_, response) => response.end(`${(visited += 1)}`), STRANGER),
    );
    const { url } = keep(
      await httpServer((_, response) => {
        response.writeHead(302, { location: elsewhere.url.href });
        response.end();
      }),
    );
    expect((await ask(url)).status).toBe(302);
    expect(visited).toBe(0);
  });

  it('that does not speak HTTP, or compresses, is refused', async () => {
    const noise = keep(await listening(createServer((socket) => socket.end('220 mail\r\n'))));
    expect(await codeOf(ask(noise.url))).toBe('NAT_BAD_ANSWER');
    const zipped = keep(
      await httpServer((_, response) => {
        response.writeHead(200, { 'content-encoding': 'gzip' });
        response.end('x');
      }),
    );
    expect(await codeOf(ask(zipped.url))).toBe('NAT_BAD_ANSWER');
  });

  it('names no URL but its own', () => {
    const base = new URL(`http://${ROUTER}:5000/root.xml`);
    expect(gatewayUrl('/ctl', base, ROUTER).href).toBe(`http://${ROUTER}:5000/ctl`);
    expect(gatewayUrl('http://127.0.0.1:80/ctl', base, ROUTER).port).toBe('');
    for (const bad of [
      `http://${STRANGER}/ctl`,
      '//evil.example/ctl',
      'https://127.0.0.1/ctl',
      'file:///etc/passwd',
      'http://user@127.0.0.1/',
      'http://127.0.0.1.evil.example/',
      'http://[::1]/',
      'http://',
    ]) {
      expect(() => gatewayUrl(bad, base, ROUTER), bad).toThrow(/NAT|router/);
    }
  });
});

/** A router of UPnP: an SSDP server that leads to an HTTP server that does as it is told. */
async function upnpRouter(
  act: (action: string, body: string) => { status?: number; body: string },
  options: { root?: string; location?: (port: number) => string; ssdpFrom?: string } = {},
) {
  const web = keep(
    await httpServer((incoming, response, body) => {
      if (incoming.method === 'GET') return response.end(options.root ?? description());
      const action = /#(\w+)"/.exec(String(incoming.headers['soapaction']))?.[1] ?? '';
      const answer = act(action, body);
      response.writeHead(answer.status ?? 200, { 'content-type': 'text/xml' });
      return response.end(answer.body);
    }),
  );
  const location = options.location?.(web.port) ?? web.url.href;
  const ssdp = keep(
    await udpServer((_, reply) => {
      if (options.ssdpFrom === undefined) reply(searchAnswer(location));
    }),
  );
  if (options.ssdpFrom !== undefined) {
    const stranger = keep(await udpServer(() => undefined, options.ssdpFrom));
    ssdp.socket.on('message', (_, from) =>
      stranger.socket.send(searchAnswer(location), from.port, from.address),
    );
  }
  return new UpnpClient(gateway, environment({ ssdp: ssdp.port }));
}

describe('a router asked by UPnP', () => {
  const free = (action: string) =>
    action === 'GetSpecificPortMappingEntry'
      ? { status: 500, body: fault(714) }
      : action === 'GetExternalIPAddress'
        ? { body: soap(action, { NewExternalIPAddress: '203.0.113.9' }) }
        : { body: soap(action) };

  it('maps a port', async () => {
    const client = await upnpRouter(free);
    expect(await client.map(request())).toMatchObject({
      protocol: 'upnp',
      externalAddress: '203.0.113.9',
      externalPort: 40_000,
      lifetimeSeconds: 3600,
    });
  });

  it('is not believed when somebody else answers for it', async () => {
    const client = await upnpRouter(free, { ssdpFrom: STRANGER });
    expect(await codeOf(client.map(request()))).toBe('NAT_NO_ANSWER');
  });

  it('is not followed to another address', async () => {
    const away = await upnpRouter(free, {
      location: (port) => `http://${STRANGER}:${port}/root.xml`,
    });
    expect(await codeOf(away.map(request()))).toBe('NAT_BAD_ANSWER');
    const control = await upnpRouter(free, {
      root: description({ control: `http://${STRANGER}:80/control` }),
    });
    expect(await codeOf(control.map(request()))).toBe('NAT_BAD_ANSWER');
  });

  it('is refused when its XML is a bomb, endless or nothing', async () => {
    const bomb = '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><r>&b;</r>';
    expect(await codeOf((await upnpRouter(free, { root: bomb })).map(request()))).toBe(
      'NAT_BAD_ANSWER',
    );
    const huge = await upnpRouter(free, { root: `<r>${' '.repeat(5_000_000)}</r>` });
    expect(await codeOf(huge.map(request()))).toBe('NAT_TOO_LARGE');
    const noise = await upnpRouter((action) =>
      action === 'AddPortMapping' ? { body: '<html>hello</html>' } : free(action),
    );
    expect(await codeOf(noise.map(request()))).toBe('NAT_BAD_ANSWER');
  });

  it('whose port is taken is asked for another', async () => {
    const taken = new Set([40_000]);
    const asked: number[] = [];
    const client = await upnpRouter((action, body) => {
      const port = Number(/<NewExternalPort>(\d+)/.exec(body)?.[1]);
      if (action === 'AddPortMapping') asked.push(port);
      return action === 'AddPortMapping' && taken.has(port)
        ? { status: 500, body: fault(718, 'ConflictInMappingEntry') }
        : free(action);
    });
    const { externalPort } = await client.map(request());
    expect(asked).toEqual([40_000, externalPort]);
    expect(externalPort).not.toBe(40_000);
  });

  it("does not lose another host's mapping to us", async () => {
    let added = 0;
    const client = await upnpRouter((action, body) => {
      const port = Number(/<NewExternalPort>(\d+)/.exec(body)?.[1]);
      if (action === 'GetSpecificPortMappingEntry' && port === 40_000) {
        return {
          body: soap(action, {
            NewInternalClient: '127.0.0.9',
            NewInternalPort: 80,
            NewPortMappingDescription: 'a game',
          }),
        };
      }
      if (action === 'AddPortMapping' && port === 40_000) added += 1;
      return free(action);
    });
    expect((await client.map(request())).externalPort).not.toBe(40_000);
    expect(added).toBe(0);
    // And none of another's is removed.
    let removed = 0;
    const other = await upnpRouter((action) => {
      if (action === 'DeletePortMapping') removed += 1;
      return action === 'GetSpecificPortMappingEntry'
        ? { body: soap(action, { NewInternalClient: '127.0.0.9', NewPortMappingDescription: 'x' }) }
        : free(action);
    });
    await other.unmap(request());
    expect(removed).toBe(0);
  });

  it('that keeps only permanent leases, or the same port, gets its way', async () => {
    const client = await upnpRouter((action, body) => {
      if (action !== 'AddPortMapping') return free(action);
      const lease = Number(/<NewLeaseDuration>(\d+)/.exec(body)?.[1]);
      const port = Number(/<NewExternalPort>(\d+)/.exec(body)?.[1]);
      if (lease !== 0) return { status: 500, body: fault(725) };
      if (port !== 4600) return { status: 500, body: fault(724) };
      return free(action);
    });
    expect(await client.map(request())).toMatchObject({ externalPort: 4600, lifetimeSeconds: 0 });
  });

  it('of version 2 that does not know its own actions is asked as one of version 1', async () => {
    const client = await upnpRouter(
      (action) =>
        action === 'AddAnyPortMapping' ? { status: 500, body: fault(401) } : free(action),
      { root: description({ type: 'urn:schemas-upnp-org:service:WANIPConnection:2' }) },
    );
    expect((await client.map(request())).externalPort).toBe(40_000);
  });

  it('tells an address that is none, and it is left out', async () => {
    const client = await upnpRouter((action) =>
      action === 'GetExternalIPAddress'
        ? { body: soap(action, { NewExternalIPAddress: 'http://evil/' }) }
        : free(action),
    );
    expect((await client.map(request())).externalAddress).toBeUndefined();
  });

  it('that always refuses is given up, in words that a terminal can bear', async () => {
    const client = await upnpRouter((action) =>
      action === 'AddPortMapping'
        ? { status: 500, body: fault(606, 'no\u009b31m\u202e way') }
        : free(action),
    );
    const error = await client.map(request()).catch((one: NatError) => one);
    expect(error).toMatchObject({ code: 'NAT_REFUSED' });
    expect((error as NatError).message).toMatch(/error 606/);
    expect((error as NatError).message).toMatch(/^[\x20-\x7e]*$/);
    const conflicts = await upnpRouter((action) =>
      action === 'AddPortMapping' ? { status: 500, body: fault(718) } : free(action),
    );
    expect(await codeOf(conflicts.map(request()))).toBe('NAT_CONFLICT');
  });
});
