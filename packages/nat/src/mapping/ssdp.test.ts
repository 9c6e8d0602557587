import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { searchAnswer } from './hostile-router.test-support.js';
import { locationOf } from './ssdp.js';

describe('answers to a search', () => {
  it('have a location, in any case and with space around it', () => {
    const answer = searchAnswer('http://192.168.1.1:5000/root.xml').toString();
    expect(locationOf(answer)).toBe('http://192.168.1.1:5000/root.xml');
    expect(locationOf(answer.replace('LOCATION: ', 'Location:'))).toBe(
      'http://192.168.1.1:5000/root.xml',
    );
  });

  it('of other devices, and other messages, have none', () => {
    const answer = searchAnswer('http://192.168.1.1/').toString();
    expect(locationOf(answer.replace('InternetGatewayDevice', 'MediaServer'))).toBeUndefined();
    expect(locationOf(answer.replace('200 OK', '404 Not Found'))).toBeUndefined();
    expect(locationOf(answer.replace('HTTP/1.1 200 OK', 'NOTIFY * HTTP/1.1'))).toBeUndefined();
    expect(locationOf(answer.replace('LOCATION', 'X-LOCATION'))).toBeUndefined();
    expect(locationOf(searchAnswer(`http://192.168.1.1/${'a'.repeat(600)}`).toString())).toBe(
      undefined,
    );
  });

  it('whatever comes, are read without an error', () => {
    const lines = fc.array(
      fc.oneof(
        fc.constantFrom(
          ...['HTTP/1.1 200 OK', 'LOCATION: http://x/', 'LOCATION:', 'ST:', ':', ''],
          'ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1',
        ),
        fc.string(),
      ),
    );
    fc.assert(
      fc.property(lines, (all) => {
        const location = locationOf(all.join('\r\n'));
        expect(location === undefined || location.length <= 512).toBe(true);
      }),
    );
  });
});
