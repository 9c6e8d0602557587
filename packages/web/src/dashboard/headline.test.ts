import { describe, expect, it } from 'vitest';
import type { BridgeState } from '../messages/bridge-state.js';
import type { FarmerState } from '../messages/farmer-state.js';
import type { NetworkState } from '../messages/network-state.js';
import { stateSchema } from '../messages/stream.js';
import { headline } from './headline.js';

const ID = (i: number) => i.toString(16).padStart(64, '0');

const farmer: FarmerState = {
  kind: 'farmer',
  time: 1,
  figures: {
    nodeId: ID(1),
    address: 'https://127.0.0.1:1',
    reachable: null,
    tunnels: 0,
    tunnelClients: 0,
    tunnelBytes: 0,
    quotaBytes: 1e9,
    usedBytes: 5e8,
    reservedBytes: 0,
    freeBytes: 5e8,
    shards: 1204,
    missing: 0,
    damaged: 0,
    peers: 17,
    connections: 0,
    uploads: 0,
    downloads: 0,
    deletes: 0,
    refused: 0,
    bytesIn: 0,
    bytesOut: 0,
    audits: 10,
    auditsLost: 0,
    leaving: false,
    startedAt: 1,
  },
  contracts: { renters: 12, moreRenters: false, endInDay: 0, endInWeek: 0, endInMonth: 0 },
  neighbourhood: { nodeId: ID(1), k: 20, known: 17, estimate: 17, peers: [] },
  money: { direction: 'earned', accounts: [], days: [] },
};
const withFigures = (change: Partial<FarmerState['figures']>) =>
  headline({ ...farmer, figures: { ...farmer.figures, ...change } });

const row = (i: number, answers = true): BridgeState['farmers']['list'][number] => ({
  nodeId: ID(i),
  address: null,
  operator: null,
  standing: 'good',
  why: '',
  leaving: false,
  answers,
  awaySince: null,
  latencyMs: 1,
  freeBytes: 1,
  passed: 1,
  failed: 0,
  uptime: 1,
});

const bridge: BridgeState = {
  kind: 'bridge',
  time: 1,
  nodeId: ID(1),
  url: 'http://127.0.0.1:9000',
  region: 'us-east-1',
  ready: { database: true, network: true },
  scheme: { k: 4, repair: 6, success: 10, n: 12 },
  requests: {
    running: 0,
    connections: 0,
    total: 0,
    refused: 0,
    failed: 0,
    received: 0,
    sent: 0,
    operations: [],
  },
  buckets: { total: 0, more: false, users: 1, list: [] },
  survey: {
    at: 1,
    tookMs: 1,
    objects: 50,
    segments: 60,
    bytes: 1e9,
    storedBytes: 3e9,
    fine: 50,
    move: 0,
    repair: 0,
    lost: 0,
    unreadable: 0,
    leastSpare: 8,
    bySpare: [],
    contracts: 600,
    endInDay: 0,
  },
  care: {
    here: true,
    phase: 'idle',
    since: 1,
    rounds: 1,
    queue: 0,
    done: 0,
    repairing: null,
    last: null,
    failure: null,
  },
  farmers: { total: 3, list: [row(1), row(2), row(3)] },
  neighbourhood: farmer.neighbourhood,
  money: { direction: 'spent', accounts: [], days: [] },
};
const withSurvey = (change: Partial<NonNullable<BridgeState['survey']>>, more = {}) =>
  headline({ ...bridge, survey: { ...bridge.survey!, ...change }, ...more });

const member = (
  i: number,
  state: 'running' | 'gone' | 'starting',
  ended: string | null = null,
) => ({
  index: i,
  nodeId: ID(i),
  address: 'https://127.0.0.1:1',
  pid: 1,
  state,
  ended,
  since: 1,
  rttMs: 1,
  figures: state === 'starting' ? null : farmer.figures,
});
const network = (farmers: NetworkState['farmers']) =>
  headline({ kind: 'network', time: 1, home: '/h', directory: '/d', farmers });

describe('the headline', () => {
  it('of a farmer says the worst there is, and what to do', () => {
    expect(stateSchema.parse(farmer)).toEqual(farmer);
    expect(headline(farmer)).toMatchObject({ level: 'good' });
    expect(headline(farmer).text).toBe(
      'Everything is fine: 1,204 shards (500 MB) kept for 12 renters, 17 peers, all audits passed.',
    );
    expect(withFigures({ damaged: 1, missing: 2, leaving: true })).toMatchObject({
      level: 'bad',
      text: 'Data was lost here: 2 shards missing and 1 shard damaged.',
    });
    expect(withFigures({ auditsLost: 1 }).level).toBe('bad');
    expect(withFigures({ reachable: 'private' })).toMatchObject({ level: 'warn' });
    expect(withFigures({ reachable: 'private' }).advice.join()).toContain('granary doctor');
    expect(withFigures({ reachable: 'private', tunnels: 2 }).level).toBe('good');
    expect(withFigures({ freeBytes: 0 }).level).toBe('warn');
    expect(withFigures({ leaving: true, freeBytes: 0 })).toMatchObject({ level: 'busy' });
    expect(withFigures({ leaving: true, shards: 0 }).text).toContain('has left in good order');
    expect(withFigures({ shards: 0, usedBytes: 0 }).text).toMatch(/^Ready: 500 MB free/);
    const alone = { ...farmer, neighbourhood: { ...farmer.neighbourhood, known: 0 } };
    expect(headline(alone)).toMatchObject({ level: 'bad' });
  });

  it('of a bridge puts what can not be read before all else', () => {
    expect(stateSchema.parse(bridge)).toEqual(bridge);
    expect(headline(bridge).text).toBe(
      'Everything is fine: 50 objects (1.00 GB), each could lose at least 8 more farmers. 3 of 3 farmers answer.',
    );
    const repairing = { care: { ...bridge.care, phase: 'repairs' as const, queue: 9, done: 2 } };
    expect(withSurvey({ unreadable: 1, lost: 1 }, repairing)).toMatchObject({ level: 'bad' });
    expect(withSurvey({ unreadable: 1 }).text).toMatch(/^1 object can’t be read now/);
    expect(withSurvey({ repair: 3 }, repairing)).toMatchObject({
      level: 'busy',
      text: 'Repairing: 2 of 9 segments done. Everything can be read meanwhile.',
    });
    expect(withSurvey({ repair: 3 })).toMatchObject({ level: 'busy' });
    const elsewhere = { care: { ...bridge.care, here: false } };
    expect(withSurvey({ repair: 3 }, elsewhere)).toMatchObject({ level: 'warn' });
    expect(withSurvey({ objects: 0, leastSpare: null }).text).toMatch(/^Ready/);
    expect(headline({ ...bridge, survey: null }).level).toBe('busy');
    const database = { ...bridge, ready: { database: false, network: true } };
    expect(headline(database).text).toContain('database');
    const network = { ...bridge, ready: { database: true, network: false } };
    expect(headline(network)).toMatchObject({ level: 'bad' });
    const away = { ...bridge, farmers: { total: 3, list: [row(1, false), row(2), row(3)] } };
    expect(headline(away)).toMatchObject({ level: 'warn' });
    expect(headline(away).text).toBe(
      '1 farmer of 3 does not answer (000000000000). Every object could lose at least 8 more.',
    );
    // Whoever was thrown out is expected to be away.
    const out = [{ ...row(1, false), standing: 'disqualified' as const }, row(2)];
    expect(headline({ ...bridge, farmers: { total: 2, list: out } }).level).toBe('good');
    const failing = { ...bridge.requests, total: 100, failed: 2 };
    expect(headline({ ...bridge, requests: failing }).level).toBe('warn');
  });

  it('of a network names who is gone and how', () => {
    expect(network([member(1, 'running'), member(2, 'running')]).text).toBe(
      'Everything is fine: all 2 farmers run and hold 1.00 GB.',
    );
    expect(network([member(1, 'running'), member(2, 'gone', 'SIGKILL')])).toMatchObject({
      level: 'warn',
      text: '1 farmer of 2 is gone (000000000000: SIGKILL).',
    });
    expect(network([member(1, 'gone', 'exit 1')]).level).toBe('bad');
    expect(network([member(1, 'running'), member(2, 'starting')]).level).toBe('busy');
  });
});
