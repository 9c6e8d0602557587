import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:tls';

const PEER = new URL('./tls-peer.js', import.meta.url).pathname;
const PIECE = Buffer.alloc(256 * 1024, 1);

/**
 * The CPU of both ends, in nanoseconds a byte, when one process sends bytes to another through TLS 1.3 on
 * loopback and neither does anything with them.
 */
export async function pumpThroughTls(bytes: number): Promise<number> {
  const peer = fork(PEER, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  try {
    const [{ port }] = (await once(peer, 'message')) as [{ port: number }];
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    let least = Infinity;
    for (let round = 0; round < 4; round += 1) {
      peer.send({ expect: bytes });
      await once(peer, 'message');
      const before = process.cpuUsage();
      const done = once(peer, 'message') as Promise<[{ microseconds: number }]>;
      for (let at = 0; at < bytes; at += PIECE.length) {
        if (!socket.write(PIECE.subarray(0, bytes - at))) await once(socket, 'drain');
      }
      const [{ microseconds }] = await done;
      const { user, system } = process.cpuUsage(before);
      // The first round warms both up.
      if (round > 0) least = Math.min(least, ((user + system + microseconds) * 1000) / bytes);
    }
    socket.destroy();
    return least;
  } finally {
    peer.kill();
  }
}
