import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NatError } from '../errors.js';
import { ROUTER, environment, gateway, udpServer } from './hostile-router.test-support.js';
import { MappingFile } from './mapping-file.js';
import type { Gateway, MappingProtocol } from './mapping.js';
import { NatPmpClient } from './nat-pmp-client.js';
import { PortMapper } from './port-mapper.js';

/** A router that speaks PCP: what it has mapped, and what it was asked. */
class PcpRouter {
  readonly mapped = new Map<number, { external: number; nonce: string }>();
  readonly log: string[] = [];
  refuses = 0;
  silent = false;
  lifetime = 3600;
  /** Called before an answer. */
  onAsk: () => void = () => undefined;
  private server!: Awaited<ReturnType<typeof udpServer>>;

  static async start(): Promise<PcpRouter> {
    const router = new PcpRouter();
    router.server = await udpServer((message, reply) => router.answer(message, reply));
    return router;
  }

  get ports() {
    return { pcp: this.server.port, ssdp: 9 };
  }

  close(): Promise<void> {
    return this.server.close();
  }

  private answer(message: Buffer, reply: (bytes: Uint8Array) => void): void {
    if (message[0] !== 2) return;
    const lifetime = message.readUInt32BE(4);
    const nonce = message.subarray(24, 36).toString('hex');
    const internal = message.readUInt16BE(40);
    const wanted = message.readUInt16BE(42);
    this.log.push(lifetime === 0 ? `unmap ${internal}` : `map ${internal} to ${wanted}`);
    this.onAsk();
    if (this.silent) return;
    const answer = Buffer.alloc(60);
    message.copy(answer, 24, 24, 60);
    answer.set([2, 0x81, 0, this.refuses]);
    if (this.refuses === 0 && lifetime === 0) {
      const known = this.mapped.get(internal);
      if (known !== undefined && known.nonce !== nonce) answer[3] = 2;
      else this.mapped.delete(internal);
    } else if (this.refuses === 0) {
      const external = this.mapped.get(internal)?.external ?? wanted;
      this.mapped.set(internal, { external, nonce });
      answer.writeUInt32BE(this.lifetime, 4);
      answer.writeUInt16BE(external, 42);
      answer.set([0xff, 0xff, 203, 0, 113, 7], 54);
    }
    reply(answer);
  }
}

let directory: string;
let file: string;
let router: PcpRouter;
const running: PortMapper[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-nat-'));
  file = join(directory, 'deep', 'port-mappings.json');
  router = await PcpRouter.start();
});
afterEach(async () => {
  for (const mapper of running.splice(0)) await mapper.stop();
  await router.close();
  await rm(directory, { recursive: true, force: true });
});

function mapper(
  internalPort: number,
  options: { gateway?: Gateway; protocols?: MappingProtocol[] } = {},
): PortMapper {
  const made = new PortMapper({
    file,
    internalPort,
    protocols: options.protocols ?? ['pcp'],
    findGateway: () => Promise.resolve(options.gateway ?? gateway),
    ports: router.ports,
  });
  running.push(made);
  return made;
}
const entries = async () => (await MappingFile.open(file)).entries;

describe('a port mapper', () => {
  it('maps, tells, keeps the port when it renews, and removes the mapping at the end', async () => {
    const told: (number | undefined)[] = [];
    const one = mapper(4600);
    one.onChange((mapping) => told.push(mapping?.externalPort));
    await one.start();
    const { externalPort, externalAddress } = one.mapping!;
    expect(externalAddress).toBe('203.0.113.7');
    expect(externalPort).toBeGreaterThanOrEqual(20_000);
    await one.refresh();
    expect(one.mapping?.externalPort).toBe(externalPort);
    expect(told).toEqual([externalPort]);
    await one.stop();
    expect(told).toEqual([externalPort, undefined]);
    expect(router.mapped.size).toBe(0);
    expect(await entries()).toEqual([]);
    expect(router.log).toEqual([
      `map 4600 to ${externalPort}`,
      `map 4600 to ${externalPort}`,
      'unmap 4600',
    ]);
  });

  it('has written the mapping down before the router hears of it, for its owner alone', async () => {
    let seen: Promise<string> | undefined;
    router.onAsk = () => (seen ??= readFile(file, 'utf8'));
    const one = mapper(4600);
    await one.start();
    expect(JSON.parse(await seen!)).toMatchObject({
      version: 1,
      mappings: [{ protocol: 'pcp', gateway: ROUTER, internalPort: 4600 }],
    });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('uses again what a crash left, with the port and the nonce that it had', async () => {
    const crashed = mapper(4600);
    await crashed.start();
    const before = crashed.mapping!.externalPort;
    // No goodbye: another process begins with the same file.
    const next = mapper(4600);
    await next.start();
    expect(next.mapping!.externalPort).toBe(before);
    expect(router.mapped.size).toBe(1);
    expect(await entries()).toHaveLength(1);
    await next.stop();
    expect(router.mapped.size).toBe(0);
  });

  it('removes what a crash left for another port', async () => {
    const crashed = mapper(4600);
    await crashed.start();
    const next = mapper(4700);
    await next.start();
    expect([...router.mapped.keys()]).toEqual([4700]);
    expect(await entries()).toHaveLength(1);
    expect(router.log).toContain('unmap 4600');
  });

  it('leaves alone what another router has, until it is there again', async () => {
    const crashed = mapper(4600);
    await crashed.start();
    const elsewhere = { address: '127.0.0.3', localAddress: '127.0.0.1' };
    const away = mapper(4700, { gateway: elsewhere });
    await away.start();
    expect(away.mapping).toBeUndefined();
    expect(await entries()).toHaveLength(1);
    await away.stop();
    const back = mapper(4700);
    await back.start();
    expect([...router.mapped.keys()]).toEqual([4700]);
  });

  it('is told why there is none, and writes nothing down for it', async () => {
    router.refuses = 2;
    const one = mapper(4600, { protocols: ['pcp', 'nat-pmp'] });
    await one.start();
    expect(one.mapping).toBeUndefined();
    expect(one.attempts).toMatchObject([
      { protocol: 'pcp', error: { code: 'NAT_REFUSED' } },
      { protocol: 'nat-pmp', error: { code: 'NAT_NO_ANSWER' } },
    ]);
    expect(await entries()).toEqual([]);
  });

  it('does without a default gateway', async () => {
    const one = new PortMapper({
      file,
      internalPort: 4600,
      findGateway: () => Promise.resolve(undefined),
    });
    running.push(one);
    await one.start();
    expect(one.mapping).toBeUndefined();
    expect(one.gateway).toBeUndefined();
  });

  it('keeps what was granted while its time runs, though the router is silent', async () => {
    const one = mapper(4600);
    await one.start();
    router.silent = true;
    await one.refresh();
    expect(one.mapping).toBeDefined();
    // At the end the router can't be told, so the mapping stays written down.
    await one.stop();
    expect(await entries()).toHaveLength(1);
    router.silent = false;
    const next = mapper(4600);
    await next.start();
    expect(router.mapped.size).toBe(1);
  });

  it('asks for a mapping again when its time is up', async () => {
    router.lifetime = 1;
    const one = mapper(4600);
    await one.start();
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    router.refuses = 8;
    await one.refresh();
    expect(one.mapping).toBeUndefined();
    router.refuses = 0;
    await one.refresh();
    expect(one.mapping).toBeDefined();
  });

  it('that is stopped in the middle of asking takes back what may have been granted', async () => {
    router.silent = true;
    const one = mapper(4600);
    const begun = one.start();
    while (router.log.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    router.silent = false;
    const stopped = one.stop();
    await Promise.all([begun, stopped]);
    expect(router.log.at(-1)).toBe('unmap 4600');
    expect(await entries()).toEqual([]);
  });

  it('refuses a file that is none, and says what to do', async () => {
    await mapper(1).start();
    for (const text of [
      '',
      '{',
      '[]',
      '{"version":2,"mappings":[]}',
      '{"version":1,"mappings":[{}]}',
    ]) {
      await writeFile(file, text);
      const error = await mapper(4600)
        .start()
        .catch((one: NatError) => one);
      expect(error).toMatchObject({ code: 'NAT_BAD_FILE' });
      expect((error as NatError).message).toMatch(/remove it/);
    }
    await rm(file);
    await chmod(directory, 0o700);
  });
});

describe('the NAT-PMP client', () => {
  it('maps a port, and tells the address outside', async () => {
    const server = await udpServer((message, reply) => {
      if (message[1] === 0) return reply(Uint8Array.of(0, 128, 0, 0, 0, 0, 0, 1, 203, 0, 113, 1));
      const answer = Buffer.alloc(16);
      answer.set([0, 130]);
      message.copy(answer, 8, 4, 8);
      answer.writeUInt32BE(message.readUInt32BE(8), 12);
      return reply(answer);
    });
    try {
      const client = new NatPmpClient(gateway, environment({ pcp: server.port }));
      const { signal } = new AbortController();
      const asked = {
        internalPort: 4600,
        externalPort: 40_000,
        nonce: new Uint8Array(12),
        tag: 't',
        signal,
      };
      expect(await client.map({ ...asked, lifetimeSeconds: 100 })).toEqual({
        protocol: 'nat-pmp',
        gateway: ROUTER,
        internalAddress: '127.0.0.1',
        internalPort: 4600,
        externalAddress: '203.0.113.1',
        externalPort: 40_000,
        lifetimeSeconds: 100,
      });
      await client.unmap(asked);
    } finally {
      await server.close();
    }
  });
});
