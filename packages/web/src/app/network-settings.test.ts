import { describe, expect, it } from 'vitest';
import { hostNetworkSchema, parseAddresses, settingsOf } from './network-settings.js';

const certificate = 'a'.repeat(64);

describe('the settings', () => {
  it('are the host’s, until the user has set others', () => {
    const host = { bootstrap: ['wss://a.example:1'], scheme: '2/3/4/5' };
    expect(settingsOf(host, {})).toMatchObject({
      bootstrap: ['wss://a.example:1'],
      scheme: { k: 2, repair: 3, success: 4, n: 5 },
      downloads: 'resume',
      source: 'host',
    });
    expect(settingsOf(host, { bootstrap: ['ws://127.0.0.1:2'], scheme: '1/1/2/2' })).toMatchObject({
      bootstrap: ['ws://127.0.0.1:2'],
      scheme: { n: 2 },
      source: 'own',
    });
    expect(settingsOf(undefined, {})).toMatchObject({
      bootstrap: [],
      scheme: undefined,
      source: 'none',
    });
  });

  it('take addresses that pages can dial, and no others', () => {
    expect(
      parseAddresses(
        ` wss://farm.example.org:4601\nws://127.0.0.1:3,  webrtc://127.0.0.1:4/${certificate} `,
      ),
    ).toHaveLength(3);
    expect(parseAddresses(' \n ')).toEqual([]);
    expect(() => parseAddresses('https://127.0.0.1:4600')).toThrow(/pages reach nodes at wss/);
    expect(() => parseAddresses('nonsense')).toThrow(/nonsense is not an address/);
  });

  it('are not taken from a host that says something else', () => {
    expect(hostNetworkSchema.safeParse({ bootstrap: 'wss://a' }).success).toBe(false);
    expect(hostNetworkSchema.safeParse([]).success).toBe(false);
    expect(hostNetworkSchema.safeParse({ bootstrap: [], later: 1 }).success).toBe(true);
  });
});
