import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gatewayOfProcRoute, gatewayOfRouteGet, gatewayOfRoutePrint } from './routing-tables.js';

describe('the default gateway', () => {
  it('is read from /proc/net/route, the lowest metric first', () => {
    const text = [
      'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
      'wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0',
      'eth0\t00000000\tFE02A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0',
      'eth0\t0002A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0',
      '',
    ].join('\n');
    expect(gatewayOfProcRoute(text)).toBe('192.168.2.254');
    expect(gatewayOfProcRoute(text.replaceAll('0003', '0001'))).toBeUndefined();
    expect(gatewayOfProcRoute('')).toBeUndefined();
  });

  it('is read from "route -n get default"', () => {
    const text = '   route to: default\n    gateway: 192.168.1.1\n  interface: en0\n';
    expect(gatewayOfRouteGet(text)).toBe('192.168.1.1');
    expect(gatewayOfRouteGet('    gateway: link#4\n')).toBeUndefined();
  });

  it('is read from "route print" in any language of Windows', () => {
    const text = [
      'IPv4-Routentabelle',
      'Netzwerkziel    Netzwerkmaske          Gateway    Schnittstelle Metrik',
      '          0.0.0.0          0.0.0.0      192.168.0.1    192.168.0.17     55',
      '          0.0.0.0          0.0.0.0         10.0.0.1        10.0.0.2     25',
      '          0.0.0.0          0.0.0.0         On-link         10.9.0.2      5',
      '        127.0.0.0        255.0.0.0   Auf Verbindung         127.0.0.1    331',
    ].join('\r\n');
    expect(gatewayOfRoutePrint(text)).toBe('10.0.0.1');
  });

  it('is nothing in what is no routing table', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const read of [gatewayOfProcRoute, gatewayOfRouteGet, gatewayOfRoutePrint]) {
          expect(read(text)).toBeUndefined();
        }
      }),
    );
  });
});
