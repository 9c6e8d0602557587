import { expect, it } from 'vitest';
import { formatAddress, parseAddress } from './address.js';
import { clientPasswordOf, serverIceOf } from './webrtc-sdp.js';

const hash = 'ab'.repeat(32);
const node = 'cd'.repeat(32);

it('parses addresses of data channels, and writes them again', () => {
  for (const host of ['192.0.2.1', '[2001:db8::1]']) {
    const text = `webrtc://${host}:4601/${hash}`;
    const address = parseAddress(text);
    expect(address).toEqual({
      scheme: 'webrtc',
      host: host.replace(/[[\]]/g, ''),
      port: 4601,
      certificate: hash,
    });
    expect(formatAddress(address)).toBe(text);
    expect(parseAddress(`${text}/${node}`)).toEqual({ ...address, nodeId: node });
  }
});

it('refuses those that lack something', () => {
  for (const bad of [
    'webrtc://192.0.2.1:4601',
    `webrtc://192.0.2.1/${hash}`,
    `webrtc://farm.example:4601/${hash}`,
    `webrtc://192.0.2.1:4601/${hash.toUpperCase()}`,
    `webrtc://192.0.2.1:4601/${hash.slice(2)}`,
    `webrtc://192.0.2.1:4601/${hash}/x`,
    `webrtc://192.0.2.1:4601/${hash}/${node}/x`,
  ]) {
    expect(() => parseAddress(bad), bad).toThrow(/webrtc|node ID|port/);
  }
});

it('finds the client’s ICE password in the name that it makes up', () => {
  const pwd = '/aB3'.repeat(6);
  const { ufrag } = serverIceOf(`v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:${pwd}\r\na=mid:0\r\n`);
  expect(clientPasswordOf(ufrag)).toBe(pwd);
  expect(() => serverIceOf('v=0\r\n')).toThrow();
  // What is put into a description must not add a line to it.
  for (const bad of ['abcd', 'granaryshort', `granary${pwd}\r\na=x`, `granary${'a'.repeat(200)}`]) {
    expect(clientPasswordOf(bad), bad).toBeUndefined();
  }
});
