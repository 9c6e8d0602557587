import type { Clock } from './clock.js';
import type { Contact } from './contact.js';
import type { MethodHandler, RequestMiddleware } from './dispatcher.js';
import type { Identity } from './identity.js';
import type { KademliaNode } from './kademlia-node.js';
import type { KademliaOptions } from './kademlia-options.js';
import type { Logger } from './logger.js';
import type { LookupObserver } from './lookup.js';
import type { NodeId } from './node-id.js';
import type { Random } from './random.js';
import type { Destination, RpcReply } from './rpc-channel.js';
import type { ExchangeOptions, Remote } from './transport.js';

/** How we come to hear of a contact. */
export type ContactSource = 'asked us' | 'answered us' | 'named to us';

/** Why a contact left the routing table. */
export type RemovalReason = 'silent' | 'left';

/** A call that is about to go out. */
export interface OutgoingCall {
  readonly to: Destination;
  readonly method: string;
  readonly params: unknown;
  readonly options: ExchangeOptions;
}

/** Stands before every call: passes it on with `next`, or answers or refuses it itself. */
export type CallMiddleware = (
  call: OutgoingCall,
  next: (call: OutgoingCall) => Promise<RpcReply>,
) => Promise<RpcReply>;

/** A lookup that begins. */
export interface LookupStart {
  readonly target: NodeId;
  /** `node`: the nodes closest to the target; `value`: a value under it. */
  readonly kind: 'node' | 'value';
}

/** What a plugin works with. Time and chance are the node's, so that a simulator can drive them. */
export interface PluginHost {
  readonly node: KademliaNode;
  readonly identity: Identity;
  readonly options: KademliaOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Where a plugin has a say. All are optional. Hooks that return nothing must not throw; when one
 * does, it is logged and the node goes on.
 */
export interface PluginHooks {
  /** Methods to answer, by name: upper case, digits and underscores. */
  readonly methods?: Readonly<Record<string, MethodHandler>>;
  /**
   * A message came, and nothing of it has been looked at yet.
   *
   * @throws KadError to refuse it before any work is spent on it.
   */
  onMessage?(remote: Remote, size: number): void;
  /** A message was refused, by a plugin or because something was wrong with it. */
  onRefused?(remote: Remote, error: unknown): void;
  /** Before a method is answered. */
  readonly onRequest?: RequestMiddleware;
  /** Before a call goes out. */
  readonly onCall?: CallMiddleware;
  /**
   * Whether a contact may be asked in a lookup (`named to us`) or enter the routing table (the
   * others). The first plugin that says no is enough.
   */
  admit?(contact: Contact, source: ContactSource): boolean;
  /** A contact is new in the routing table. */
  contactAdded?(contact: Contact): void;
  /** A contact left the routing table. */
  contactRemoved?(contact: Contact, reason: RemovalReason): void;
  /** A contact, whether in the table or not, did not answer a call. */
  contactSilent?(contact: Contact): void;
  /** A lookup begins; what is returned is told how it goes. */
  lookup?(lookup: LookupStart): LookupObserver | undefined;
  /** The node listens. */
  start?(): Promise<void> | void;
  /** What is due now and then: called about once every `maintenanceMs`. */
  maintain?(): Promise<void>;
  /** The node is about to leave for good: say goodbye, hand over. */
  leave?(signal: AbortSignal): Promise<void>;
  /** The node stops: free everything. */
  stop?(): Promise<void> | void;
}

/** Something that a node can do besides Kademlia's core. */
export interface Plugin {
  /** For logs, and so that none is installed twice. */
  readonly name: string;
  /** Called once, when the node is made. */
  install(host: PluginHost): PluginHooks;
}
