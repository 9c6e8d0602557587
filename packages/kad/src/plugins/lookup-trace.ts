import type { Contact } from '../contact.js';
import { KadError, messageOf } from '../errors.js';
import type { LookupObserver } from '../lookup.js';
import type { NodeId } from '../node-id.js';
import type { LookupStart, Plugin, PluginHooks } from '../plugin.js';

/** One question of a lookup, and what became of it. */
export interface TraceStep {
  readonly contact: Contact;
  /** The disjoint path, from 0. */
  readonly path: number;
  /** Steps from us: 1 was known to us. */
  readonly depth: number;
  /** Who named the contact, by ID; undefined: we knew it. */
  namedBy: NodeId | undefined;
  /** Milliseconds from the start of the lookup to the question. */
  readonly startMs: number;
  /** Milliseconds from the question to the answer or the failure; undefined while it is open. */
  tookMs: number | undefined;
  outcome: 'open' | 'answered' | 'value' | 'failed';
  /** Contacts in the answer. */
  named: number;
  /** Why it failed: a {@link KadError}'s code, or a message. */
  error: string | undefined;
}

/** A whole lookup. */
export interface Trace extends LookupStart {
  readonly steps: readonly TraceStep[];
  /** Milliseconds for all of it; undefined while it runs. */
  readonly tookMs: number | undefined;
  readonly hops: number;
}

/** Records the lookups of a node, question by question. Of many, the last few are kept. */
export class LookupTrace implements Plugin {
  readonly name = 'lookup-trace';
  private readonly traces: Trace[] = [];

  /** @param limit - how many lookups to remember */
  constructor(private readonly limit = 16) {}

  /** The lookups, oldest first. */
  get lookups(): readonly Trace[] {
    return this.traces;
  }

  install({ clock }: { clock: { now(): number } }): PluginHooks {
    return { lookup: (start) => this.record(start, () => clock.now()) };
  }

  private record(start: LookupStart, now: () => number): LookupObserver {
    const begun = now();
    const steps: TraceStep[] = [];
    const open = new Map<NodeId, TraceStep>();
    const namers = new Map<NodeId, NodeId>();
    const trace = { ...start, steps, tookMs: undefined as number | undefined, hops: 0 };
    this.traces.push(trace);
    if (this.traces.length > this.limit) this.traces.shift();
    const close = (contact: Contact): TraceStep | undefined => {
      const step = open.get(contact.nodeId);
      open.delete(contact.nodeId);
      if (step !== undefined) step.tookMs = now() - begun - step.startMs;
      return step;
    };
    return {
      asked: (contact, path, depth) => {
        const step: TraceStep = {
          contact,
          path,
          depth,
          namedBy: depth === 1 ? undefined : namers.get(contact.nodeId),
          startMs: now() - begun,
          tookMs: undefined,
          outcome: 'open',
          named: 0,
          error: undefined,
        };
        steps.push(step);
        open.set(contact.nodeId, step);
      },
      answered: (contact, named, hasValue) => {
        const step = close(contact);
        for (const other of named) {
          if (!namers.has(other.nodeId)) namers.set(other.nodeId, contact.nodeId);
        }
        if (step === undefined) return;
        step.outcome = hasValue ? 'value' : 'answered';
        step.named = named.length;
      },
      failed: (contact, _namedBy, error) => {
        const step = close(contact);
        if (step === undefined) return;
        step.outcome = 'failed';
        step.error = error instanceof KadError ? error.code : messageOf(error);
      },
      finished: ({ hops }) => {
        trace.tookMs = now() - begun;
        trace.hops = hops;
      },
    };
  }
}
