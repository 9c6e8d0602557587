import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Home, type LabHost, NatLab, noLab } from './index.js';

const SERVER = `
  const server = require('node:net').createServer((socket) => {
    socket.on('error', () => {});
    socket.end(socket.remoteAddress + ' ' + socket.remotePort + '\\n');
  });
  server.listen(Number(process.argv[1]), '0.0.0.0', () => console.log('listening'));
`;
const CLIENT = `
  const [, host, port, localPort, patience] = process.argv;
  const socket = require('node:net').connect({ host, port, localPort: Number(localPort ?? 0) });
  socket.setTimeout(Number(patience), () => { console.log('silent'); process.exit(); });
  socket.on('error', (error) => { console.log(error.code); process.exit(); });
  socket.on('data', (data) => console.log(data.toString().trim()));
  socket.on('end', () => process.exit());
`;

/** Whom a server sees when this host dials it; or why it can't. @param patience - milliseconds */
async function dial(
  from: LabHost,
  to: string,
  port: number,
  { localPort = 0, patience = 30_000 } = {},
): Promise<string> {
  const args = ['-e', CLIENT, to, String(port), String(localPort), String(patience)];
  return (await from.must(process.execPath, args)).trim();
}

describe.skipIf(noLab !== undefined)(`the NAT lab${noLab ? ` (skipped: ${noLab})` : ''}`, () => {
  let lab: NatLab;
  let first: LabHost;
  let second: LabHost;
  let plain: Home;
  let double: Home;
  let insider: LabHost;
  let innermost: LabHost;

  beforeAll(async () => {
    lab = await NatLab.create();
    first = await lab.addPublic('first');
    second = await lab.addPublic('second');
    plain = await lab.addHome('plain');
    insider = await plain.addHost('insider');
    double = await lab.addHome('double', {}, await lab.addHome('carrier', { ports: 'random' }));
    innermost = await double.addHost('innermost');
    for (const host of [first, second, insider]) {
      await host.start(process.execPath, ['-e', SERVER, '4000']).printed(/listening/);
    }
  });
  afterAll(() => lab?.close());

  it('gives public hosts prefixes of their own, from which they see each other', async () => {
    expect(first.address.split('.').slice(0, 3)).not.toEqual(second.address.split('.').slice(0, 3));
    expect(await dial(first, second.address, 4000)).toMatch(new RegExp(`^${first.address} `));
  });

  it('puts a home behind one address, and lets nobody in', async () => {
    expect(await dial(insider, first.address, 4000)).toMatch(new RegExp(`^${plain.outside} `));
    expect(await dial(first, plain.outside, 4000, { patience: 2_000 })).toBe('silent');
  });

  it('keeps the port outside, or draws one for each destination', async () => {
    for (const to of [first, second]) {
      expect(await dial(insider, to.address, 4000, { localPort: 5123 })).toBe(
        `${plain.outside} 5123`,
      );
    }
    const ports = [];
    for (const to of [first, second])
      ports.push(await dial(innermost, to.address, 4000, { localPort: 5123 }));
    expect(ports[0]).not.toBe(ports[1]);
    expect(ports.filter((port) => port.endsWith(' 5123')).length).toBeLessThan(2);
  });

  it('puts a home behind another', async () => {
    expect(double.outside).toMatch(/^192\.168\./);
    expect(await dial(innermost, first.address, 4000)).toMatch(/^203\.0\./);
  });

  it('runs a router whose miniupnpd can be stopped and started', async () => {
    const home = await lab.addHome('mapped', { mapping: true });
    expect(home.log()).toMatch(/HTTP listening/);
    expect(await home.mappings()).toEqual([]);
    await home.stopMapper();
    await home.startMapper();
    expect(home.log()).toMatch(/HTTP listening/);
  });

  it('leaves nothing behind', async () => {
    const other = await NatLab.create();
    const host = await other.addPublic('host');
    const server = host.start(process.execPath, ['-e', SERVER, '4000']);
    await server.printed(/listening/);
    expect(readdirSync('/run/netns')).toContain(host.namespace);
    await other.close();
    expect(readdirSync('/run/netns')).not.toContain(host.namespace);
    // Killed by the lab, not by itself.
    expect(await server.stop()).toBe(null);
  });
});
