import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NatError } from './errors.js';
import { formatProxy, parseProxy } from './proxy-settings.js';

describe('the address of a proxy', () => {
  it.each([
    ['socks5h://127.0.0.1:9050', { host: '127.0.0.1', port: 9050 }],
    ['socks5h://127.0.0.1:9050/', { host: '127.0.0.1', port: 9050 }],
    ['SOCKS5H://localhost', { host: '127.0.0.1', port: 1080 }],
    ['socks5h://LocalHost:1', { host: '127.0.0.1', port: 1 }],
    ['socks5h://[::1]:9050', { host: '::1', port: 9050 }],
    [
      'socks5h://me:p%40ss%3A%C3%A9@10.0.0.1:1080',
      { host: '10.0.0.1', port: 1080, credentials: { username: 'me', password: 'p@ss:é' } },
    ],
  ])('%s', (text, settings) => expect(parseProxy(text)).toEqual(settings));

  it.each([
    ['', /empty.*"none"/],
    ['127.0.0.1:9050', /only SOCKS5|not a URL/],
    ['127.0.0.1', /not a URL/],
    ['socks5://127.0.0.1:9050', /resolved by the proxy/],
    ['socks4a://127.0.0.1:9050', /resolved by the proxy/],
    ['http://127.0.0.1:9050', /only SOCKS5/],
    ['socks5h://tor:9050', /IP address/],
    ['socks5h://tor.example.org:9050', /IP address/],
    ['socks5h://1.2.3:9050', /IP address/],
    ['socks5h://0x7f.1:9050', /IP address/],
    ['socks5h://:9050', /not a URL/],
    ['socks5h://127.0.0.1:0', /no port/],
    ['socks5h://127.0.0.1:65536', /not a URL/],
    ['socks5h://127.0.0.1:9050/x', /parts/],
    ['socks5h://127.0.0.1:9050?x', /parts/],
    ['socks5h://127.0.0.1:9050#x', /parts/],
    ['socks5h://me@127.0.0.1:9050', /user takes a password/],
    ['socks5h://:secret@127.0.0.1:9050', /user takes a password/],
    [`socks5h://me:${'s'.repeat(256)}@127.0.0.1:9050`, /255 bytes/],
    [`socks5h://me:${'%C3%A9'.repeat(128)}@127.0.0.1:9050`, /255 bytes/],
    ['socks5h://me:%FF@127.0.0.1:9050', /percent-encoded/],
  ])('%j is refused', (text, why) => {
    expect(() => parseProxy(text)).toThrowError(
      expect.objectContaining({ code: 'NAT_BAD_SETTING', message: expect.stringMatching(why) }),
    );
  });

  it('is told without user and password, also when it is wrong', () => {
    expect(formatProxy(parseProxy('socks5h://me:secret@[::1]:9050'))).toBe('socks5h://[::1]:9050');
    for (const text of ['socks5h://me:secret@tor:1', 'http://me:secret@1.2.3.4', 'me:secret@x:y']) {
      expect(() => parseProxy(text)).toThrow(NatError);
      expect(() => parseProxy(text)).not.toThrow(/secret/);
    }
  });

  it('is text that comes back, or an error of ours', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.webUrl(),
          fc.string().map((s) => `socks5h://${s}`),
        ),
        (text) => {
          try {
            const { host, port } = parseProxy(text);
            expect(parseProxy(formatProxy({ host, port }))).toEqual({ host, port });
          } catch (error) {
            expect(error).toBeInstanceOf(NatError);
          }
        },
      ),
    );
  });
});
