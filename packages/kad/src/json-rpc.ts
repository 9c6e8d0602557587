import { KadError, type KadErrorCode } from './errors.js';

/** A request as a method's handler gets it (JSON-RPC 2.0, section 4). */
export interface RpcRequest {
  readonly method: string;
  readonly params: unknown;
  readonly id: string;
}

/** The text of a request. */
export function encodeRequest({ method, params, id }: RpcRequest): string {
  return JSON.stringify({ jsonrpc: '2.0', method, params, id });
}

/** The text of a result. */
export function encodeResult(id: string, result: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id, result: result ?? null });
}

/** The text of an error. The code of the {@link KadError} travels in `data.code`. */
export function encodeError(id: string | null, code: string, message: string): string {
  return JSON.stringify({
    jsonrpc: '2.0',
    id,
    error: { code: NUMBERS[code] ?? -32000, message: message.slice(0, 512), data: { code } },
  });
}

// JSON-RPC 2.0, section 5.1.
const NUMBERS: Record<string, number> = {
  KAD_MALFORMED: -32600,
  KAD_METHOD_NOT_FOUND: -32601,
  KAD_BAD_PARAMETERS: -32602,
  KAD_INTERNAL: -32603,
};

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new KadError('KAD_MALFORMED', 'the JSON-RPC message is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new KadError('KAD_MALFORMED', 'the JSON-RPC message is not an object');
  }
  if ((value as { jsonrpc?: unknown }).jsonrpc !== '2.0') {
    throw new KadError('KAD_MALFORMED', 'the message is not JSON-RPC 2.0');
  }
  return value as Record<string, unknown>;
}

/** @throws KadError KAD_MALFORMED. */
export function parseRequest(text: string): RpcRequest {
  const { method, params, id } = parseObject(text);
  if (typeof method !== 'string' || !/^[A-Z][A-Z0-9_]{0,63}$/.test(method)) {
    throw new KadError('KAD_MALFORMED', 'the JSON-RPC method is not a method name');
  }
  if (typeof id !== 'string' || id.length > 64) {
    throw new KadError('KAD_MALFORMED', 'the JSON-RPC id is not text of at most 64 characters');
  }
  return { method, params, id };
}

/** An error that the other side answered with; `remoteCode` is its own word for it. */
export class RemoteError extends KadError {
  constructor(
    readonly remoteCode: string,
    message: string,
  ) {
    super(KNOWN.has(remoteCode) ? (remoteCode as KadErrorCode) : 'KAD_REMOTE', message);
  }
}

const KNOWN = new Set<string>([
  'KAD_METHOD_NOT_FOUND',
  'KAD_BUSY',
  'KAD_FULL',
  'KAD_NOT_FOUND',
  'KAD_UNPROVEN',
]);

/** The result of a response. @throws RemoteError, or KadError KAD_MALFORMED. */
export function parseResponse(text: string, id: string): unknown {
  const message = parseObject(text);
  if ('error' in message) {
    const error = message['error'] as { message?: unknown; data?: { code?: unknown } } | null;
    const code = error?.data?.code;
    throw new RemoteError(
      typeof code === 'string' ? code.slice(0, 64) : 'UNKNOWN',
      `the other node answered: ${typeof error?.message === 'string' ? error.message.slice(0, 512) : 'an error'}`,
    );
  }
  if (message['id'] !== id || !('result' in message)) {
    throw new KadError('KAD_MALFORMED', 'the JSON-RPC response does not fit its request');
  }
  return message['result'];
}
