import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseAddress } from './address.js';
import * as browser from './websocket-dial.browser.js';
import * as node from './websocket-dial.js';

afterEach(() => vi.unstubAllGlobals());

const addresses = [
  'https://node.example',
  'wss://node.example',
  'ws://node.example',
  'ws://127.0.0.1',
  'ws://[::1]',
  'ws://localhost',
];
const dialled = ({ canDialSocket }: typeof node | typeof browser) =>
  addresses.filter((address) => canDialSocket(parseAddress(address)));

describe('WebSockets can be made', () => {
  it('to all WebSocket addresses in Node', () => {
    expect(dialled(node)).toEqual(addresses.slice(1));
  });

  it('to all from a page in the clear, and to safe ones from a page over HTTPS', () => {
    expect(dialled(browser)).toEqual(addresses.slice(1));
    vi.stubGlobal('location', { protocol: 'http:' });
    expect(dialled(browser)).toEqual(addresses.slice(1));
    vi.stubGlobal('location', { protocol: 'https:' });
    expect(dialled(browser)).toEqual(
      addresses.filter((address) => address !== 'ws://node.example').slice(1),
    );
  });

  it('only where there are any, and as far as the browser lets us', async () => {
    const options = { signal: new AbortController().signal, timeoutMs: 100 };
    vi.stubGlobal('WebSocket', undefined);
    await expect(
      browser.dialSocket(parseAddress('ws://127.0.0.1:1'), options),
    ).rejects.toMatchObject({ code: 'KAD_UNREACHABLE' });
    vi.stubGlobal(
      'WebSocket',
      class {
        constructor() {
          throw new Error('SecurityError');
        }
      },
    );
    await expect(
      browser.dialSocket(parseAddress('ws://127.0.0.1:1'), options),
    ).rejects.toMatchObject({
      code: 'KAD_UNREACHABLE',
      message: expect.stringContaining('SecurityError') as string,
    });
  });
});
