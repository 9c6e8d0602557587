import type { ReachabilityStatus } from '@granary/nat';
import { describe, expect, it } from 'vitest';
import { describeReachability, isLoopback, reachabilitySettings } from './reachability.js';

const data = '/srv/granary';
const of = (
  listen: { host: string; announce?: string[] },
  config: Parameters<typeof reachabilitySettings>[1] = {},
) => reachabilitySettings({ data, ...listen }, config);

describe('whether a farmer looks how others reach it', () => {
  it('does not on loopback', async () => {
    for (const host of ['127.0.0.1', '127.8.8.8', '::1', 'localhost']) {
      expect(isLoopback(host)).toBe(true);
      expect(await of({ host })).toBeUndefined();
    }
  });

  it('asks the router when it has a private address and was told nothing else', async () => {
    const mapping = { file: '/srv/granary/port-mappings.json' };
    expect(await of({ host: '192.168.1.5' })).toEqual({ mapping });
    expect(await of({ host: '203.0.113.5' })).toEqual({});
    expect(await of({ host: '192.168.1.5', announce: ['https://x:1'] })).toEqual({});
    expect(await of({ host: '192.168.1.5' }, { portMapping: 'never' })).toEqual({});
    expect(await of({ host: '203.0.113.5' }, { portMapping: 'always' })).toEqual({ mapping });
  });

  it('can be told not to, when there is something to announce', async () => {
    expect(await of({ host: '192.168.1.5' }, { dialBack: 'never' })).toBeUndefined();
    await expect(of({ host: '0.0.0.0' }, { dialBack: 'never' })).rejects.toThrow(/--announce/);
    await expect(
      of({ host: '192.168.1.5' }, { dialBack: 'never', portMapping: 'always' }),
    ).rejects.toThrow(/--dial-back auto/);
  });
});

describe('what a farmer says of it', () => {
  const status: ReachabilityStatus = {
    state: 'public',
    announced: ['https://203.0.113.1:40000'],
    observed: ['203.0.113.1'],
    mapping: {
      protocol: 'nat-pmp',
      gateway: '192.168.1.1',
      internalAddress: '192.168.1.5',
      internalPort: 4600,
      externalAddress: '203.0.113.1',
      externalPort: 40_000,
      lifetimeSeconds: 3600,
    },
    attempts: [{ protocol: 'nat-pmp' }],
    checks: [
      {
        address: 'https://203.0.113.1:40000',
        reached: 3,
        failed: 1,
        silent: 0,
        verdict: 'reachable',
      },
    ],
    checkedAt: 1,
  };

  it('names the address, how many got through, and the router', () => {
    expect(describeReachability(status)).toEqual([
      'Others can reach this node at https://203.0.113.1:40000 (3 of 4 nodes got through; the router maps the port, by NAT-PMP).',
    ]);
  });

  it('names what was tried, in text that can not steer the terminal', () => {
    const lines = describeReachability({
      ...status,
      state: 'private',
      announced: [],
      mapping: undefined,
      attempts: [{ protocol: 'upnp', error: { code: 'NAT_REFUSED', message: 'UPnP: \u001b[2J' } }],
      checks: [
        {
          address: 'https://203.0.113.1:1',
          reached: 0,
          failed: 4,
          silent: 0,
          verdict: 'unreachable',
        },
      ],
    }).join('\n');
    expect(lines).toMatch(/0 of 4 nodes got through/);
    expect(lines).toMatch(/UPnP: \\u\{1b\}\[2J/);
    expect(lines).toMatch(/granary doctor/);
  });
});
