import type { Address } from './address.js';
import { DataChannelSocket, LOW_WATER } from './data-channel-socket.js';
import { serverAnswer, serverIceOf } from './webrtc-sdp.js';

// What is needed of the browser's WebRTC: this package is written without the types of browsers.
interface Channel {
  binaryType: string;
  readonly bufferedAmount: number;
  bufferedAmountLowThreshold: number;
  onopen: (() => void) | null;
  onclose: (() => void) | null;
  onbufferedamountlow: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  send(bytes: Uint8Array): void;
}
interface Connection {
  readonly connectionState: string;
  onconnectionstatechange: (() => void) | null;
  createDataChannel(label: string): Channel;
  createOffer(): Promise<{ readonly sdp?: string }>;
  setLocalDescription(offer: object): Promise<void>;
  setRemoteDescription(answer: { type: 'answer'; sdp: string }): Promise<void>;
  close(): void;
}
const { RTCPeerConnection } = globalThis as { RTCPeerConnection?: new () => Connection };

/** Whether there is WebRTC here. Pages have it, their workers do not. */
export function canDialWebRtc(): boolean {
  return RTCPeerConnection !== undefined;
}

/**
 * A data channel to a server whose certificate is the address's. It is not open yet, and fails by closing.
 *
 * @param label - what is spoken on it
 */
export function dialWebRtc(address: Address, label: string, maxMessage: number): DataChannelSocket {
  const connection = new RTCPeerConnection!();
  const channel = connection.createDataChannel(label);
  channel.binaryType = 'arraybuffer';
  channel.bufferedAmountLowThreshold = LOW_WATER;
  const socket = new DataChannelSocket(
    {
      send: (bytes) => channel.send(bytes),
      get bufferedAmount() {
        return channel.bufferedAmount;
      },
      close: () => closeGently(connection, channel),
    },
    maxMessage,
  );
  channel.onopen = () => socket.opened();
  channel.onclose = () => socket.lost('the data channel was closed');
  channel.onbufferedamountlow = () => socket.drained();
  channel.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) socket.received(new Uint8Array(data));
    else socket.close(1003, 'text is sent as bytes here');
  };
  connection.onconnectionstatechange = () => {
    const { connectionState: state } = connection;
    if (state === 'failed' || state === 'closed') socket.lost('nobody answers there');
  };
  negotiate(connection, address).catch((error: unknown) => socket.lost(String(error)));
  return socket;
}

async function negotiate(connection: Connection, address: Address): Promise<void> {
  const offer = await connection.createOffer();
  await connection.setLocalDescription(offer);
  const { host, port, certificate = '' } = address;
  const ice = serverIceOf(offer.sdp ?? '');
  await connection.setRemoteDescription({
    type: 'answer',
    sdp: serverAnswer({ host, port, certificate, ...ice }),
  });
}

/** Time for the last message, which says why it ends, to go out; in milliseconds. */
const LINGER_MS = 200;

function closeGently(connection: Connection, channel: Channel): void {
  if (channel.bufferedAmount === 0 && connection.connectionState !== 'connected') {
    connection.close();
    return;
  }
  setTimeout(() => connection.close(), LINGER_MS);
}
