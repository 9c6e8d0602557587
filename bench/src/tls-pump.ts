import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { nextMessage } from './next-message.js';

const PEER = new URL('./tls-peer.js', import.meta.url).pathname;
const PIECE = Buffer.alloc(256 * 1024, 1);

/** Sends bytes to another process through TLS 1.3 on loopback; neither does anything with them. */
export interface TlsPump {
  /** The CPU of both ends, in nanoseconds a byte. Nothing else may go on in this process. */
  send(bytes: number): Promise<number>;
  close(): void;
}

/** Start the other process and connect to it. */
export async function openTlsPump(): Promise<TlsPump> {
  const peer = fork(PEER, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  try {
    const { port } = await nextMessage<{ port: number }>(peer);
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    return {
      async send(bytes) {
        peer.send({ expect: bytes });
        await nextMessage(peer);
        const before = process.cpuUsage();
        const done = nextMessage<{ microseconds: number }>(peer);
        for (let at = 0; at < bytes; at += PIECE.length) {
          const full = !socket.write(PIECE.subarray(0, bytes - at));
          // The other process may end before it has read all.
          if (full) await Promise.race([once(socket, 'drain'), done]);
        }
        const { microseconds } = await done;
        const { user, system } = process.cpuUsage(before);
        return ((user + system + microseconds) * 1000) / bytes;
      },
      close() {
        socket.destroy();
        peer.kill();
      },
    };
  } catch (error) {
    peer.kill();
    throw error;
  }
}
