import { NatError } from '../errors.js';

/** The path at which a tunnel takes clients, on its node's HTTPS server. */
export const TUNNEL_PATH = '/tunnel';
/** The WebSocket subprotocol of tunnels. */
export const TUNNEL_SUBPROTOCOL = 'granary-tunnel.1';

/** What a tunnel tells its client. */
export type TunnelMessage =
  | {
      readonly type: 'welcome';
      /** Names this session in receipts: 32 hex digits. */
      readonly session: string;
      /** The port of the tunnel at which the client is found. */
      readonly port: number;
      /** Per GB, in the smallest unit of `currency`: a decimal number. */
      readonly price: string;
      readonly currency: string;
      /** How it is paid, which this package hands over unread. */
      readonly payment?: unknown;
    }
  /** Bytes carried in this session so far, both ways. */
  | { readonly type: 'meter'; readonly bytes: number }
  /** A bill, which this package hands over unread. */
  | { readonly type: 'bill'; readonly bill: unknown }
  /** A receipt of the client's, signed by the tunnel, too. */
  | { readonly type: 'noted'; readonly receipt: unknown }
  /** Nothing more is carried before the tunnel is paid. */
  | { readonly type: 'held'; readonly message: string }
  /** The tunnel stops soon, or does no more for this client: find another. */
  | { readonly type: 'going'; readonly code: string; readonly message: string };

/** What a client tells its tunnel: a receipt, which this package hands over unread. */
export type ClientMessage = { readonly type: 'receipt'; readonly receipt: unknown };

const isText = (value: unknown, most: number): value is string =>
  typeof value === 'string' && value.length <= most;

function bad(what: string): NatError {
  return new NatError('NAT_TUNNEL_PROTOCOL', `the other side of the tunnel said ${what}`);
}

function objectOf(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad('something that is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw bad('something that is no object');
  return value as Record<string, unknown>;
}

/** @throws NatError NAT_TUNNEL_PROTOCOL. */
export function parseTunnelMessage(text: string): TunnelMessage {
  const { type, ...rest } = objectOf(text);
  if (type === 'welcome') {
    const { session, port, price, currency, payment } = rest;
    if (!isText(session, 32) || !/^[0-9a-f]{32}$/.test(session)) throw bad('a wrong session');
    if (!Number.isInteger(port) || (port as number) < 1 || (port as number) > 65_535) {
      throw bad('a wrong port');
    }
    if (!isText(price, 39) || !/^(0|[1-9][0-9]*)$/.test(price)) throw bad('a wrong price');
    if (!isText(currency, 64) || currency === '') throw bad('a wrong currency');
    return { type, session, port: port as number, price, currency, payment };
  }
  if (type === 'meter') {
    const { bytes } = rest;
    if (!Number.isSafeInteger(bytes) || (bytes as number) < 0) throw bad('a wrong count');
    return { type, bytes: bytes as number };
  }
  if (type === 'bill') return { type, bill: rest['bill'] };
  if (type === 'noted') return { type, receipt: rest['receipt'] };
  if (type === 'held') {
    const { message } = rest;
    if (!isText(message, 512)) throw bad('a wrong reason');
    return { type, message };
  }
  if (type === 'going') {
    const { code, message } = rest;
    if (!isText(code, 64) || !isText(message, 512)) throw bad('a wrong reason');
    return { type, code, message };
  }
  throw bad(`a message of type ${String(type).slice(0, 32)}`);
}

/** @throws NatError NAT_TUNNEL_PROTOCOL. */
export function parseClientMessage(text: string): ClientMessage {
  const { type, receipt } = objectOf(text);
  if (type !== 'receipt') throw bad('something that is no receipt');
  return { type, receipt };
}
