import type { OutgoingCall, Plugin, PluginHooks, RpcReply } from '@granary/kad';

/** Bytes of a sealed request or response beside its parameters or result: measured, rounded. */
const ENVELOPE_BYTES = 850;
/** An answer to FIND_NODE names 20 contacts of some 430 bytes. */
const LOOKUP_BYTES = 2 * ENVELOPE_BYTES + 20 * 430;

const sizes = new WeakMap<object, number>();

/** Bytes of a publication in a message; counted once for each. */
function sizeOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 8;
  const { publication, ...rest } = value as { publication?: object };
  let size = JSON.stringify(rest).length;
  if (publication !== undefined) {
    let own = sizes.get(publication);
    if (own === undefined) sizes.set(publication, (own = JSON.stringify(publication).length));
    size += own;
  }
  return size;
}

/** Counts what the pub/sub protocol of a network sends. */
export class Meter {
  payload = 0;
  control = 0;
  bytes = 0;
  readonly byMethod = new Map<string, number>();

  reset(): void {
    this.payload = 0;
    this.control = 0;
    this.bytes = 0;
    this.byMethod.clear();
  }

  /** Questions of lookups, which the protocol caused. */
  lookups(count: number): void {
    this.control += count;
    this.bytes += count * LOOKUP_BYTES;
    this.byMethod.set('lookups', (this.byMethod.get('lookups') ?? 0) + count);
  }

  /** For each node one of these. */
  plugin(): Plugin {
    return {
      name: 'meter',
      install: (): PluginHooks => ({
        onCall: async (call: OutgoingCall, next): Promise<RpcReply> => {
          if (!/^(PUBSUB|QUASAR|GOSSIP|FLOOD)_/.test(call.method)) return next(call);
          this.byMethod.set(call.method, (this.byMethod.get(call.method) ?? 0) + 1);
          if (/_(PUSH|PUBLISH)$/.test(call.method)) this.payload += 1;
          else this.control += 1;
          this.bytes += ENVELOPE_BYTES + sizeOf(call.params);
          const reply = await next(call);
          this.bytes += ENVELOPE_BYTES + sizeOf(reply.result);
          const { publications } = (reply.result ?? {}) as { publications?: unknown[] };
          this.payload += publications?.length ?? 0;
          return reply;
        },
      }),
    };
  }
}
