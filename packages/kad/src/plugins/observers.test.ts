import { describe, expect, it } from 'vitest';
import { RemoteError } from '../json-rpc.js';
import type { Logger } from '../logger.js';
import { EventLog } from './event-log.js';
import { LookupTrace } from './lookup-trace.js';
import { Metrics } from './metrics.js';
import { PeerWatch } from './peer-watch.js';
import { grown, knows } from './plugins.test-support.js';

describe('the trace of a lookup', () => {
  it('has every question with who named whom, and how long each took', async () => {
    const trace = new LookupTrace();
    const { simulation, nodes } = await grown('trace', 120, (i) => ({
      kademlia: { k: 6 },
      ...(i === 119 && { plugins: [trace] }),
    }));
    const asker = nodes[119]!;
    const target = nodes.find((node) => node !== asker && !knows(asker, node))!;
    const { messages, hops } = await simulation.clock.settle(asker.lookup(target.identity.nodeId));
    const last = trace.lookups.at(-1)!;
    expect(last.target).toBe(target.identity.nodeId);
    expect(last.steps).toHaveLength(messages);
    expect(last.hops).toBe(hops);
    const asked = new Map(last.steps.map((step) => [step.contact.nodeId, step]));
    for (const step of last.steps) {
      expect(step.tookMs).toBe(100);
      expect(step.outcome).toBe('answered');
      if (step.depth === 1) expect(step.namedBy).toBeUndefined();
      // Who named it was asked before, and one step nearer to us.
      else expect(asked.get(step.namedBy!)!.startMs + 100).toBeLessThanOrEqual(step.startMs);
    }
    const closest = last.steps.find((s) => s.contact.nodeId === target.identity.nodeId)!;
    expect(closest.depth).toBe(hops);
    expect(last.tookMs).toBe(Math.max(...last.steps.map((s) => s.startMs + s.tookMs!)));
  });

  it('says who did not answer and why', async () => {
    const trace = new LookupTrace();
    const { simulation, nodes } = await grown('silence', 10, (i) => ({
      ...(i === 0 && { plugins: [trace] }),
    }));
    await nodes[3]!.stop();
    await simulation.clock.settle(nodes[0]!.lookup(nodes[3]!.identity.nodeId));
    const failed = trace.lookups.at(-1)!.steps.filter(({ outcome }) => outcome === 'failed');
    expect(failed.map(({ contact, error }) => [contact.nodeId, error])).toEqual([
      [nodes[3]!.identity.nodeId, 'KAD_TIMEOUT'],
    ]);
  });

  it('keeps no more lookups than it was told to', async () => {
    const trace = new LookupTrace(3);
    const { simulation, nodes } = await grown('few', 5, (i) => ({
      ...(i === 4 && { plugins: [trace] }),
    }));
    for (let i = 0; i < 9; i += 1) {
      await simulation.clock.settle(nodes[4]!.lookup(`${i}`.repeat(64)));
    }
    expect(trace.lookups.map(({ target }) => target[0])).toEqual(['6', '7', '8']);
  });
});

describe('metrics', () => {
  it('count requests, calls, lookups and what was refused', async () => {
    const metrics = await Metrics.create();
    const { simulation, nodes } = await grown('metrics', 8, (i) => ({
      ...(i === 0 && { plugins: [metrics] }),
    }));
    const node = nodes[0]!;
    await simulation.clock.settle(node.lookup(nodes[5]!.identity.nodeId));
    await simulation.clock
      .settle(nodes[1]!.call(node.contact, 'MADE_UP', {}))
      .catch((error: unknown) => expect(error).toBeInstanceOf(RemoteError));
    await nodes[2]!.stop();
    await simulation.clock.settle(node.ping(nodes[2]!.contact)).catch(() => undefined);
    const text = await metrics.registry.metrics();
    const value = (line: string) => {
      const found = text.split('\n').find((row) => row.startsWith(`${line} `));
      return found === undefined ? undefined : Number(found.split(' ').at(-1));
    };
    expect(value('kad_contacts')).toBe(6);
    expect(value('kad_requests_total{method="other",outcome="KAD_METHOD_NOT_FOUND"}')).toBe(1);
    expect(value('kad_requests_total{method="FIND_NODE",outcome="ok"}')).toBeGreaterThan(7);
    expect(value('kad_call_seconds_count{method="PING",outcome="silent"}')).toBe(1);
    expect(value('kad_call_seconds_sum{method="PING",outcome="silent"}')).toBe(5);
    expect(value('kad_lookup_seconds_count{kind="node"}')).toBeGreaterThan(0);
    expect(value('kad_contacts_removed_total{reason="silent"}')).toBe(1);
    expect(text).not.toContain('MADE_UP');
  });
});

describe('the event log', () => {
  it('writes lookups, contacts and requests as fields', async () => {
    const lines: [string, object][] = [];
    const note = (fields: object, message: string) => void lines.push([message, fields]);
    const logger: Logger = { trace: note, debug: note, info: note, warn: note, error: note };
    const { simulation, nodes } = await grown('log', 4);
    const hooks = new EventLog().install({ logger, clock: simulation.clock } as never);
    const observer = hooks.lookup!({ target: 'ab', kind: 'node' })!;
    observer.finished!({ contacts: [], hops: 2, messages: 7 });
    hooks.contactAdded!(nodes[1]!.contact);
    hooks.contactRemoved!(nodes[1]!.contact, 'left');
    hooks.onRefused!({ address: '20.0.0.1' }, new Error('why'));
    const request = { method: 'PING', params: {}, sender: nodes[1]!.contact } as never;
    await hooks.onRequest!(request, () => Promise.resolve({}));
    await expect(
      hooks.onRequest!(request, () => Promise.reject(new Error('broken'))),
    ).rejects.toThrow('broken');
    expect(lines.map(([message]) => message)).toEqual([
      'a lookup',
      'a new contact',
      'a contact left',
      'a message was refused',
      'a request',
      'a request failed',
    ]);
    expect(lines[0]![1]).toMatchObject({ target: 'ab', hops: 2, messages: 7, found: 0 });
    expect(lines[2]![1]).toMatchObject({ node: nodes[1]!.identity.nodeId, reason: 'left' });
  });
});

describe('the watch over peers', () => {
  it('knows how fast who answers, who is gone and how, and forgets it in time', async () => {
    const watch = new PeerWatch({ goneMs: 60_000 });
    const { simulation, nodes } = await grown('watch', 8, (i) => ({
      ...(i === 0 && { plugins: [watch] }),
    }));
    const [node, leaving, dying] = nodes as [
      (typeof nodes)[0],
      (typeof nodes)[0],
      (typeof nodes)[0],
    ];
    expect(watch.vitals(dying.contact)).toMatchObject({ state: 'alive', rttMs: 100 });
    const died = dying.contact;
    await simulation.clock.settle(leaving.leave());
    await leaving.stop();
    await dying.stop();
    expect(watch.gone.map(({ state }) => state)).toEqual(['left']);
    // Nobody has noticed yet; a look at everybody does.
    expect(knows(node, dying)).toBe(true);
    await simulation.clock.settle(watch.probe(100, 1_000));
    expect(knows(node, dying)).toBe(false);
    expect(watch.gone.map(({ contact, state }) => [contact.nodeId, state])).toEqual([
      [leaving.identity.nodeId, 'left'],
      [died.nodeId, 'silent'],
    ]);
    await simulation.clock.settle(
      new Promise<void>((resolve) => simulation.clock.setTimeout(resolve, 61_000)),
    );
    expect(watch.gone).toEqual([]);
  });

  it('pings nobody more often than it is told to, and no more at a time', async () => {
    const watch = new PeerWatch();
    let pings = 0;
    const counter = {
      name: 'counter',
      install: () => ({
        onCall: (call: never, next: (call: never) => Promise<never>) => {
          if ((call as { method: string }).method === 'PING') pings += 1;
          return next(call);
        },
      }),
    };
    const { simulation } = await grown('probe', 8, (i) => ({
      ...(i === 0 && { plugins: [watch, counter] }),
    }));
    pings = 0;
    await simulation.clock.settle(watch.probe(5, 60_000));
    expect(pings).toBe(5);
    await simulation.clock.settle(watch.probe(5, 60_000));
    expect(pings).toBe(7);
    await simulation.clock.settle(watch.probe(5, 60_000));
    expect(pings).toBe(7);
  });
});
