import { describe, expect, it } from 'vitest';
import { advise, explainNat, explainPorts } from './advice.js';
import type { Diagnosis } from './diagnosis.js';
import { natKindOf, portBehaviourOf } from './nat-kind.js';

const kind = (local: string[], outside: string[], observed: string[]) =>
  natKindOf({ local, outside, observed });

describe('the kind of NAT', () => {
  it('is none when others see an address of this machine', () => {
    expect(kind(['203.0.113.1', 'fd00::1'], [], ['203.0.113.1'])).toBe('none');
    expect(kind(['203.0.113.1'], [], [])).toBe('none');
  });

  it('is one router when that has the address that others see', () => {
    expect(kind(['192.168.1.2'], ['203.0.113.1'], ['203.0.113.1'])).toBe('one');
  });

  it('is several when the router has a private address, or another than others see', () => {
    expect(kind(['192.168.1.2'], ['10.0.0.7'], ['203.0.113.1'])).toBe('several');
    expect(kind(['192.168.1.2'], ['198.51.100.1'], ['203.0.113.1'])).toBe('several');
    expect(kind(['192.168.1.2'], ['10.0.0.7'], [])).toBe('several');
  });

  it("is a carrier's when an address of RFC 6598 is in between", () => {
    expect(kind(['192.168.1.2'], ['100.72.3.4'], ['203.0.113.1'])).toBe('carrier');
    expect(kind(['100.64.0.9'], [], ['203.0.113.1'])).toBe('carrier');
  });

  it('is some when the router does not tell, and not known when nobody does', () => {
    expect(kind(['192.168.1.2'], [], ['203.0.113.1'])).toBe('some');
    expect(kind(['192.168.1.2'], [], [])).toBe('unknown');
    expect(kind(['192.168.1.2'], [], ['2001:db8::1'])).toBe('unknown');
  });
});

describe('what becomes of ports', () => {
  it('is told from what two others see', () => {
    expect(portBehaviourOf(5000, [5000, 5000])).toBe('kept');
    expect(portBehaviourOf(5000, [1234, 1234, 1234])).toBe('same');
    expect(portBehaviourOf(5000, [1234, 1235])).toBe('different');
    expect(portBehaviourOf(5000, [5000])).toBe('unknown');
  });
});

describe('advice', () => {
  const mapping = {
    protocol: 'upnp' as const,
    gateway: '192.168.1.1',
    internalAddress: '192.168.1.2',
    internalPort: 4600,
    externalAddress: '203.0.113.1',
    externalPort: 40_000,
    lifetimeSeconds: 120,
  };
  const base: Diagnosis = {
    localAddresses: ['192.168.1.2'],
    gateway: { address: '192.168.1.1', localAddress: '192.168.1.2' },
    port: 4600,
    trials: [],
    nodes: 3,
    networkError: undefined,
    observed: ['203.0.113.1'],
    nat: 'one',
    ports: 'kept',
    mapping: undefined,
    checks: [],
    reachable: false,
  };
  const first = (changes: Partial<Diagnosis>) => advise({ ...base, ...changes })[0];

  it('is that nothing is to be done when others get through', () => {
    expect(first({ reachable: true })).toMatch(/^Nothing/);
    expect(first({ reachable: true, mapping })).toMatch(/the router maps/);
  });

  it('names the router, and where to forward to', () => {
    const advice = advise(base);
    expect(advice[0]).toMatch(/Turn on port mapping in the router \(http:\/\/192\.168\.1\.1\)/);
    expect(advice[1]).toMatch(/to 192\.168\.1\.2, port 4600/);
  });

  it('depends on what is in the way', () => {
    expect(first({ nat: 'none' })).toMatch(/firewall/);
    expect(first({ nat: 'carrier' })).toMatch(/public IPv4 address/);
    expect(first({ nat: 'several' })).toMatch(/bridge mode/);
    expect(first({ mapping })).toMatch(/firewall/);
    expect(first({ reachable: undefined, nodes: 0 })).toMatch(/--bootstrap/);
    expect(first({ reachable: undefined, networkError: 'no route' })).toMatch(/no route/);
  });

  it('and explanations are there for every kind', () => {
    for (const nat of ['none', 'one', 'several', 'carrier', 'some', 'unknown'] as const) {
      expect(explainNat(nat)).toMatch(/\.$/);
      for (const reachable of [true, false, undefined]) {
        expect(advise({ ...base, nat, reachable }).length).toBeGreaterThan(0);
      }
    }
    for (const ports of ['kept', 'same', 'different'] as const) {
      expect(explainPorts(ports)).toMatch(/\.$/);
    }
  });
});
