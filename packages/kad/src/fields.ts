import { KadError } from './errors.js';
import { type NodeId, isNodeId } from './node-id.js';

/** A field of an object from the network. @throws KadError KAD_BAD_PARAMETERS when it is none. */
export function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) {
    throw new KadError('KAD_BAD_PARAMETERS', 'an object was expected');
  }
  return (value as Record<string, unknown>)[name];
}

/** A field that is a node ID or a key. @throws KadError KAD_BAD_PARAMETERS. */
export function idField(value: unknown, name: string): NodeId {
  const id = field(value, name);
  if (!isNodeId(id)) {
    throw new KadError('KAD_BAD_PARAMETERS', `${name} is not 64 lower-case hex digits`);
  }
  return id;
}
