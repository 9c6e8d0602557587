import { type Socket, createSocket } from 'node:dgram';
import { type Clock, type Random, messageOf, randomFraction } from '@granary/kad';
import { NatError } from '../errors.js';

/** A question to the router, in one datagram. */
export interface UdpQuestion<T> {
  readonly to: { readonly address: string; readonly port: number };
  readonly message: Uint8Array;
  /** For errors: the protocol. */
  readonly what: string;
  /**
   * Reads an answer: undefined when it is not the one to this question, which is then waited for on.
   *
   * @throws NatError when it is, and is wrong or a refusal.
   */
  readonly read: (answer: Uint8Array) => T | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
}

/**
 * Milliseconds after which a question is asked again, in the end given up: RFC 6886 section 3.1
 * doubles from 250 ms nine times, a minute in all. A router on the same network answers the first.
 */
const PAUSES_MS = [250, 500, 1_000, 2_000];
/** The most bytes of a datagram that are read (RFC 6887 section 7: at most 1100). */
const MAX_DATAGRAM = 1_100;
/** Answers that are not the one waited for, until whoever sends them is given up. */
const MAX_STRAY = 64;

/**
 * Ask the router by UDP, again when it is silent. The socket is connected: the system hands over
 * nothing that comes from another address or port than the one asked.
 *
 * @throws NatError NAT_NO_ANSWER, NAT_ABORTED, NAT_TOO_LARGE, NAT_BAD_ANSWER, and what `read` throws.
 */
export function askByUdp<T>(question: UdpQuestion<T>): Promise<T> {
  const { to, message, what, read, clock, random, signal } = question;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(brokenOff(signal.reason, what));
    const socket: Socket = createSocket('udp4');
    let timer: unknown;
    let sent = 0;
    let stray = 0;
    let over = false;
    const finish = (settle: () => void) => {
      if (over) return;
      over = true;
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.close();
      settle();
    };
    const fail = (error: unknown) => finish(() => reject(error));
    const onAbort = () => fail(brokenOff(signal.reason, what));
    signal.addEventListener('abort', onAbort, { once: true });
    const ask = () => {
      const pause = PAUSES_MS[sent];
      if (pause === undefined) {
        fail(new NatError('NAT_NO_ANSWER', `${what}: the router (${to.address}) does not answer`));
        return;
      }
      sent += 1;
      socket.send(message, (error) => {
        if (error !== null) silent(error);
      });
      timer = clock.setTimeout(ask, pause * (0.9 + 0.2 * randomFraction(random)));
    };
    // ICMP says that nothing listens there, or that there is no way.
    const silent = (error: Error) =>
      fail(
        new NatError(
          'NAT_NO_ANSWER',
          `${what}: the router (${to.address}) does not speak it (${messageOf(error)})`,
          { cause: error },
        ),
      );
    socket.on('error', silent);
    socket.on('message', (answer, from) => {
      if (from.address !== to.address || from.port !== to.port) return;
      if (answer.length > MAX_DATAGRAM) {
        fail(new NatError('NAT_TOO_LARGE', `${what}: an answer of ${answer.length} bytes`));
        return;
      }
      try {
        const value = read(answer);
        if (value !== undefined) return finish(() => resolve(value));
      } catch (error) {
        return fail(error);
      }
      stray += 1;
      if (stray >= MAX_STRAY) {
        fail(new NatError('NAT_BAD_ANSWER', `${what}: ${stray} answers that answer nothing`));
      }
    });
    // Node hands a failure to the callback, which its types do not say.
    const connected = (error?: Error) => (error === undefined ? ask() : silent(error));
    socket.connect(to.port, to.address, connected);
  });
}

/** Why a signal was aborted, in our words: time was up, or whoever asked does not want it any more. */
function brokenOff(reason: unknown, what: string): NatError {
  return reason instanceof NatError
    ? reason
    : new NatError('NAT_ABORTED', `${what}: broken off`, { cause: reason });
}
