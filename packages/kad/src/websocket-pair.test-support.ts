import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, type Socket, connect } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

/** One end of a WebSocket of `ws`. */
export interface WebSocketEnd {
  readonly webSocket: WebSocket;
  readonly stream: Socket;
}

/** Both ends of a real WebSocket without TLS: the client's, and the server's. */
export async function webSocketPair(): Promise<{
  near: WebSocketEnd;
  far: WebSocketEnd;
  stop: () => void;
}> {
  const options = { perMessageDeflate: false, maxPayload: 1_000_000 };
  const sockets = new WebSocketServer({ noServer: true, ...options });
  const server = createServer();
  const far = new Promise<WebSocketEnd>((resolve) =>
    server.on('upgrade', (request, stream: Socket, head) =>
      sockets.handleUpgrade(request, stream, head, (webSocket) => resolve({ webSocket, stream })),
    ),
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const stream = connect(port, '127.0.0.1');
  const webSocket = new WebSocket(`ws://127.0.0.1:${port}/`, {
    ...options,
    createConnection: () => stream,
    generateMask: (mask) => mask.fill(0),
  });
  await once(webSocket, 'open');
  return { near: { webSocket, stream }, far: await far, stop: () => server.close() };
}
