import { KadError } from './errors.js';
import type { Identity } from './identity.js';
import type { NodeId } from './node-id.js';
import type { Random } from './random.js';
import {
  type SocketPurpose,
  checkProof,
  encodeAnswer,
  encodeIntroduction,
  introduce,
  parseAnswer,
  parseIntroduction,
  prove,
} from './websocket-handshake.js';

// The handshake of docs/decisions/0009 for other protocols than the DHT's: three messages, one after the
// other, before anything else is said. Who sends them is up to the caller.

/** The side that dialled. */
export interface DialerProof {
  /**
   * The first message came: the answer to send.
   *
   * @throws KadError KAD_MALFORMED; KAD_IDENTITY_MISMATCH when it is not the node that was dialled.
   */
  answer(challenge: Uint8Array): Uint8Array;
  /** The second message came, and with it the proof. @throws KadError KAD_IDENTITY_MISMATCH. */
  check(welcome: Uint8Array): void;
}

/** Begin as the side that dialled. @param expected - whom it dialled */
export function proveAsDialer(
  identity: Identity,
  random: Random,
  expected: NodeId,
  purpose: SocketPurpose,
): DialerProof {
  const ours = introduce(identity, random);
  let theirs: ReturnType<typeof introduce> | undefined;
  return {
    answer(challenge) {
      theirs = parseIntroduction(challenge);
      if (theirs.nodeId !== expected) {
        throw new KadError(
          'KAD_IDENTITY_MISMATCH',
          `node ${theirs.nodeId} is there, and not ${expected}`,
        );
      }
      return encodeAnswer(ours, prove(identity, 'dialer', theirs, ours, purpose));
    },
    check(welcome) {
      if (theirs === undefined) throw new KadError('KAD_MALFORMED', 'a welcome came first');
      checkProof(welcome, 'acceptor', theirs, ours, purpose);
    },
  };
}

/** The side that was dialled. */
export interface AcceptorProof {
  /** The first message to send. */
  readonly challenge: Uint8Array;
  /**
   * The answer came: who is there, and the last message to send.
   *
   * @throws KadError KAD_MALFORMED or KAD_IDENTITY_MISMATCH.
   */
  welcome(answer: Uint8Array): { readonly nodeId: NodeId; readonly message: Uint8Array };
}

/** Begin as the side that was dialled. */
export function proveAsAcceptor(
  identity: Identity,
  random: Random,
  purpose: SocketPurpose,
): AcceptorProof {
  const ours = introduce(identity, random);
  return {
    challenge: encodeIntroduction(ours),
    welcome(answer) {
      const { dialer, proof } = parseAnswer(answer);
      checkProof(proof, 'dialer', ours, dialer, purpose);
      const message = prove(identity, 'acceptor', ours, dialer, purpose);
      return { nodeId: dialer.nodeId, message };
    },
  };
}
