import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KadError } from '@granary/kad';
import { RenterError } from '@granary/renter';
import { CliError } from './cli-error.js';
import { homeOf, loadConfig } from './config.js';
import { EXIT_CODES, EXIT_MEANINGS, explain } from './exit-codes.js';
import { table } from './output.js';
import { chainFetch, dialerOf } from './proxy.js';
import { parseRemotePath } from './remote-path.js';
import {
  formatDuration,
  formatSize,
  parseDuration,
  parseNumber,
  parseRate,
  parseSize,
} from './units.js';

describe('units', () => {
  it('read sizes', () => {
    expect(parseSize('10GB')).toBe(10e9);
    expect(parseSize('512 MiB')).toBe(512 * 2 ** 20);
    expect(parseSize('1.5k')).toBe(1500);
    expect(parseSize('4096')).toBe(4096);
    for (const bad of ['', 'GB', '-1', '1e9', '10 parsecs', '1,5GB']) {
      expect(() => parseSize(bad), bad).toThrow(CliError);
    }
  });

  it('write sizes that read back to within half of the last digit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 50 }), (bytes) => {
        const back = parseSize(formatSize(bytes));
        expect(Math.abs(back - bytes)).toBeLessThanOrEqual(Math.max(0.006 * bytes, 0));
      }),
    );
    expect(formatSize(999)).toBe('999 B');
    expect(formatSize(999_600)).toBe('1.00 MB');
  });

  it('read and write durations', () => {
    expect(parseDuration('90d')).toBe(90 * 86_400_000);
    expect(parseDuration('1.5h')).toBe(5_400_000);
    expect(parseDuration('250ms')).toBe(250);
    for (const bad of ['', '5', 'd', '-1d', '1 month']) {
      expect(() => parseDuration(bad), bad).toThrow(CliError);
    }
    expect(formatDuration(250)).toBe('250 ms');
    expect(formatDuration(61_000)).toBe('1 min 1 s');
  });
});

describe('rates', () => {
  it('are read with what may come at once, or twice as much', () => {
    expect(parseRate('50', parseNumber)).toEqual({ perSecond: 50, burst: 100 });
    expect(parseRate('0.1', parseNumber)).toEqual({ perSecond: 0.1, burst: 1 });
    expect(parseRate('50/200', parseNumber)).toEqual({ perSecond: 50, burst: 200 });
    expect(parseRate('1MB/10MiB', parseSize)).toEqual({ perSecond: 1e6, burst: 10 * 2 ** 20 });
    expect(parseRate('none', parseNumber)).toBeNull();
    for (const bad of ['', '/', '1/', '1/2/3', '-1', '1e3', 'all']) {
      expect(() => parseRate(bad, parseNumber), bad).toThrow(CliError);
    }
  });
});

describe('configuration', () => {
  const home = async (text?: string) => {
    const directory = await mkdtemp(join(tmpdir(), 'granary-config-'));
    if (text !== undefined) await writeFile(join(directory, 'config.json'), text);
    return directory;
  };

  it('comes from the file, then the environment, then flags', async () => {
    const where = await home('{"bootstrap":["https://file:1"],"scheme":"1/1/1/1","duration":"1d"}');
    const env = { GRANARY_BOOTSTRAP: 'https://env:1, https://env:2', GRANARY_SCHEME: '2/2/2/2' };
    expect(await loadConfig(where, {}, {})).toEqual({
      bootstrap: ['https://file:1'],
      scheme: '1/1/1/1',
      duration: '1d',
    });
    expect(await loadConfig(where, env, { bootstrap: ['https://flag:1'] })).toEqual({
      bootstrap: ['https://flag:1'],
      scheme: '2/2/2/2',
      duration: '1d',
    });
    expect((await loadConfig(where, env, {})).bootstrap).toEqual([
      'https://env:1',
      'https://env:2',
    ]);
    expect((await loadConfig(where, { GRANARY_BOOTSTRAP: '' }, {})).bootstrap).toEqual([
      'https://file:1',
    ]);
  });

  it('says where the dashboard is served: nowhere, a port or an address', async () => {
    const where = await home('{"dashboard":"9480"}');
    expect((await loadConfig(where, {}, {})).dashboard).toBe('9480');
    const env = { GRANARY_DASHBOARD: 'off', GRANARY_DASHBOARD_NAMES: 'show' };
    expect(await loadConfig(where, env, {})).toEqual({ dashboard: 'off', dashboardNames: 'show' });
    expect((await loadConfig(where, env, { dashboard: '::1' })).dashboard).toBe('::1');
    await expect(loadConfig(where, { GRANARY_DASHBOARD_NAMES: 'yes' }, {})).rejects.toThrow(
      /environment.*dashboardNames/,
    );
  });

  it('says where a mistake is', async () => {
    await expect(loadConfig(await home('{'), {}, {})).rejects.toThrow(/config.json is not JSON/);
    await expect(loadConfig(await home('{"bootstrop":[]}'), {}, {})).rejects.toThrow(/bootstrop/);
    await expect(loadConfig(await home(), { GRANARY_LOG_LEVEL: 'loud' }, {})).rejects.toThrow(
      /environment.*logLevel/,
    );
    expect(await loadConfig(await home(), {}, {})).toEqual({});
  });

  it('finds its home by flag, environment, then default', () => {
    expect(homeOf('/a', { GRANARY_HOME: '/b' })).toBe('/a');
    expect(homeOf(undefined, { GRANARY_HOME: '/b' })).toBe('/b');
    expect(homeOf(undefined, { GRANARY_HOME: '' })).toMatch(/\.granary$/);
  });
});

describe('exit codes', () => {
  it('are all different and all explained', () => {
    const codes = Object.values(EXIT_CODES);
    expect(new Set(codes).size).toBe(codes.length);
    expect(Object.keys(EXIT_MEANINGS)).toEqual(Object.keys(EXIT_CODES));
  });

  it('follow the error, the disk before everything', () => {
    const full = Object.assign(new Error('write'), { code: 'ENOSPC' });
    expect(explain(full)).toMatchObject({ exit: 9, code: 'ENOSPC' });
    expect(explain(new RenterError('RENTER_STORE', 'x', { cause: full })).exit).toBe(9);
    expect(explain(new RenterError('RENTER_NOT_FOUND', 'gone'))).toEqual({
      exit: 3,
      code: 'RENTER_NOT_FOUND',
      message: 'gone',
    });
    expect(explain(new KadError('KAD_PORT_IN_USE', 'x')).exit).toBe(11);
    expect(explain(new CliError('CLI_INTERRUPTED', 'x')).exit).toBe(130);
    expect(explain(new TypeError('boom'))).toMatchObject({ exit: 1, code: 'INTERNAL' });
    expect(explain(new TypeError('boom')).message).toMatch(/bug/);
    expect(explain('odd').exit).toBe(1);
  });
});

it('reads where an object is', () => {
  expect(parseRemotePath('a/b/c')).toEqual({ bucket: 'a', name: 'b/c' });
  expect(parseRemotePath('photo.jpg')).toEqual({ bucket: 'default', name: 'photo.jpg' });
  for (const bad of ['', '/x', 'a/']) expect(() => parseRemotePath(bad), bad).toThrow(CliError);
});

it('lays out tables', () => {
  expect(
    table([
      ['a', 'bb'],
      ['ccc', 'd'],
    ]),
  ).toBe('a    bb\nccc  d');
});

describe('a proxy', () => {
  const proxy = 'socks5h://127.0.0.1:9050';

  it('is only there when it is named, and can be taken back', async () => {
    expect(await dialerOf({})).toBeUndefined();
    expect(await dialerOf({ proxy: 'none' })).toBeUndefined();
    expect(await dialerOf({ proxy })).toMatchObject({ direct: false, proxy });
    for (const wrong of ['', 'direct', 'http://127.0.0.1:9050', 'socks5h://tor:9050']) {
      await expect(dialerOf({ proxy: wrong })).rejects.toMatchObject({ code: 'NAT_BAD_SETTING' });
    }
  });

  it('comes from the file, then the environment, then the flag, and no empty one turns it off', async () => {
    const home = await mkdtemp(join(tmpdir(), 'granary-config-'));
    await writeFile(join(home, 'config.json'), JSON.stringify({ proxy }));
    expect(await loadConfig(home, {}, {})).toEqual({ proxy });
    expect(await loadConfig(home, { GRANARY_PROXY: 'none' }, {})).toEqual({ proxy: 'none' });
    const flags = { proxy: 'socks5h://127.0.0.1:1' };
    expect(await loadConfig(home, { GRANARY_PROXY: 'none' }, flags)).toEqual(flags);
    const empty = await loadConfig(home, { GRANARY_PROXY: '' }, {});
    await expect(dialerOf(empty)).rejects.toMatchObject({ code: 'NAT_BAD_SETTING' });
  });

  it('leads to no bootstrap address of this machine', async () => {
    const dialled = ['https://203.0.113.1:4600', 'https://localhost.example.org:4600'];
    expect(await dialerOf({ proxy, bootstrap: dialled })).toBeDefined();
    for (const own of ['https://127.0.0.1:4600', 'https://[::1]:4600', 'https://localhost:4600']) {
      const config = { proxy, bootstrap: [...dialled, own] };
      await expect(dialerOf(config)).rejects.toMatchObject({ code: 'CLI_USAGE' });
      expect(await dialerOf({ ...config, proxy: 'none' })).toBeUndefined();
    }
  });

  it('leads to chains, but for one of this machine that is named by its address', async () => {
    const { ownMachineFetch } = await import('@granary/nat');
    const dialer = await dialerOf({ proxy });
    expect(await chainFetch('http://127.0.0.1:8545', undefined)).toBeUndefined();
    expect(await chainFetch('http://127.0.0.1:8545', dialer)).toBe(ownMachineFetch);
    expect(await chainFetch('http://[::1]:8545', dialer)).toBe(ownMachineFetch);
    await expect(chainFetch('http://localhost:8545', dialer)).rejects.toMatchObject({
      code: 'CLI_USAGE',
    });
    const away = await chainFetch('https://chain.example.org', dialer);
    expect(away).toBeDefined();
    expect(away).not.toBe(ownMachineFetch);
  });
});
