import { X509Certificate, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { globalAgent } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Clock, silentLogger, systemClock } from '@granary/kad';
import { CliError } from '../cli-error.js';
import { acmeSettings } from './acme-options.js';
import { type AcmeSettings, acmeSource } from './acme-source.js';
import { Pebble, freePort, noPebble } from './pebble.test-support.js';

const DAY = 24 * 3600 * 1000;
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error: unknown) => (error instanceof CliError ? error.code : String(error)),
  );

/** The system's clock, that can be set ahead. */
class ShiftedClock implements Clock {
  shift = 0;
  now = () => systemClock.now() + this.shift;
  setTimeout = systemClock.setTimeout.bind(systemClock);
  clearTimeout = systemClock.clearTimeout.bind(systemClock);
}

describe.skipIf(noPebble !== undefined)(`certificates of an authority ${noPebble ?? ''}`, () => {
  let pebble: Pebble;
  let directory: string;
  let made = 0;
  const clock = new ShiftedClock();
  const names = ['farm.example.test', 's3.example.test'];
  const signal = new AbortController().signal;

  beforeAll(async () => {
    pebble = await Pebble.start();
    directory = await mkdtemp(join(tmpdir(), 'granary-acme-'));
    globalAgent.options.ca = await readFile(pebble.ca);
  });
  afterAll(async () => {
    delete globalAgent.options.ca;
    await pebble?.stop();
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  });

  const settings = (change: Partial<AcmeSettings> = {}): AcmeSettings => ({
    names,
    email: 'who@example.test',
    directory: pebble.url,
    challengeAt: { host: '127.0.0.1', port: pebble.httpPort },
    folder: join(directory, `acme-${(made += 1)}`),
    ...change,
  });
  const open = (how: AcmeSettings) =>
    acmeSource(how, { clock, random: (n) => randomBytes(n), logger: silentLogger, signal });

  it('are ordered once, kept in files that nobody else reads, and ordered again in time', async () => {
    const how = settings();
    const source = await open(how);
    const first = new X509Certificate(source.pair.cert);
    expect(first.subjectAltName).toBe(names.map((name) => `DNS:${name}`).join(', '));
    expect(() => createSecureContext(source.pair)).not.toThrow();
    // The chain leads to the authority's root.
    const chain = source.pair.cert.split(/(?=-----BEGIN CERTIFICATE-----)/);
    const root = new X509Certificate(await pebble.root());
    expect(new X509Certificate(chain.at(-1)!).checkIssued(root)).toBe(true);
    for (const file of ['account.pem', 'certificate.pem']) {
      expect((await stat(join(how.folder, file))).mode & 0o777).toBe(0o600);
    }
    // Nobody is answered at that port any more.
    await expect(fetch(`http://127.0.0.1:${pebble.httpPort}/`)).rejects.toThrow();

    const again = await open(how);
    expect(again.pair).toEqual(source.pair);
    expect(await again.again(signal)).toBeUndefined();
    const account = await readFile(join(how.folder, 'account.pem'), 'utf8');
    clock.shift = 50 * DAY;
    expect(await again.again(signal)).toBeUndefined();
    clock.shift = 61 * DAY;
    const renewed = await again.again(signal);
    expect(new X509Certificate(renewed!.cert).fingerprint256).not.toBe(first.fingerprint256);
    clock.shift = 0;
    expect((await open(how)).pair).toEqual(renewed);
    expect(await readFile(join(how.folder, 'account.pem'), 'utf8')).toBe(account);
    // For another name it is of no use.
    const more = await open({ ...how, names: [...names, 'more.example.test'] });
    expect(new X509Certificate(more.pair.cert).subjectAltName).toContain('more.example.test');
  });

  it('are ordered anew when the file is damaged', async () => {
    const how = settings();
    const { pair } = await open(how);
    await writeFile(join(how.folder, 'certificate.pem'), pair.cert.slice(0, 500));
    expect((await open(how)).pair).not.toEqual(pair);
  });

  it('fail in words: refused, not reached, port taken, stopped; and are not asked for at once again', async () => {
    const elsewhere = { challengeAt: { host: '127.0.0.1', port: await freePort() } };
    // The authority asks where nobody answers.
    expect(await codeOf(open(settings(elsewhere)))).toBe('CLI_AUTHORITY');
    const nobody = { directory: `https://127.0.0.1:${await freePort()}/dir` };
    expect(await codeOf(open(settings(nobody)))).toBe('CLI_AUTHORITY_UNREACHABLE');
    const stopped = acmeSource(settings(), {
      clock,
      random: (n) => randomBytes(n),
      logger: silentLogger,
      signal: AbortSignal.abort(),
    });
    expect(await codeOf(stopped)).toBe('CLI_INTERRUPTED');

    const how = settings();
    const source = await open(how);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(pebble.httpPort, '127.0.0.1', resolve));
    try {
      expect(await codeOf(open(settings()))).toBe('CLI_PORT_IN_USE');
      clock.shift = 80 * DAY;
      expect(await codeOf(source.again(signal))).toBe('CLI_PORT_IN_USE');
      // Only after a while.
      expect(await source.again(signal)).toBeUndefined();
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
    expect(await source.again(signal)).toBeUndefined();
    clock.shift += 2 * 3600 * 1000;
    expect(await source.again(signal)).toBeDefined();
    clock.shift = 0;
  });
});

describe('options', () => {
  it('name what a certificate is for, and nothing that is no name', () => {
    expect(acmeSettings({}, '/d')).toBeUndefined();
    expect(acmeSettings({ acme: ['Farm.Example.org'] }, '/d')).toEqual({
      names: ['farm.example.org'],
      directory: 'https://acme-v02.api.letsencrypt.org/directory',
      challengeAt: { host: '0.0.0.0', port: 80 },
      folder: '/d/acme',
    });
    for (const acme of [
      'localhost',
      '127.0.0.1',
      '*.example.org',
      'a_b.org',
      'https://x.org',
      '',
    ]) {
      expect(() => acmeSettings({ acme: [acme] }, '/d'), acme).toThrow(/write a name/);
    }
    expect(() => acmeSettings({ acmeEmail: 'a@b.c' }, '/d')).toThrow(/--acme NAME/);
    const plain = { acme: ['a.org'], acmeDirectory: 'http://a.org/' };
    expect(() => acmeSettings(plain, '/d')).toThrow(/https:/);
  });
});
