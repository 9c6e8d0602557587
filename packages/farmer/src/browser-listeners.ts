import type { Clock, Identity, Logger, OwnServer, SocketListener } from '@granary/kad';
import { WebSocketListener } from '@granary/kad';
import { WebRtcListener } from '@granary/nat';

/** Where renters in browsers reach a farmer: WebSockets, and data channels on the UDP port of that number. */
export interface BrowserListener extends OwnServer {
  /** What to announce instead of where it listens, such as the address of a proxy that ends TLS. */
  readonly announce?: readonly string[];
  /** Whether there are data channels, and where others reach them when that is not where it listens. */
  readonly webrtc?: boolean | readonly { readonly host: string; readonly port: number }[];
}

/** The listeners of a farmer for browsers. */
export interface BrowserListeners {
  readonly webSockets: WebSocketListener;
  readonly dataChannels: WebRtcListener | undefined;
  /** Both as one. */
  readonly all: SocketListener;
}

// Whoever comes through a proxy comes from its one address.
const MAX_PER_ADDRESS = 1024;

/** Make the listeners; they do not listen yet. */
export function browserListeners(
  { webrtc = false, announce, ...server }: BrowserListener,
  parts: {
    readonly identity: Identity;
    readonly directory: string;
    readonly clock: Clock;
    readonly logger: Logger;
  },
): BrowserListeners {
  const webSockets = WebSocketListener.standalone(server, {
    ...(announce !== undefined && { announce }),
    maxPerAddress: MAX_PER_ADDRESS,
    logger: parts.logger,
  });
  if (webrtc === false) return { webSockets, dataChannels: undefined, all: webSockets };
  const { host, port } = server;
  const dataChannels = new WebRtcListener({
    host,
    port,
    ...(webrtc !== true && { announce: webrtc }),
    ...parts,
  });
  const each = [webSockets, dataChannels];
  const all: SocketListener = {
    get addresses() {
      return each.flatMap(({ addresses }) => addresses);
    },
    async listen(accept) {
      for (const listener of each) await listener.listen(accept);
    },
    async close() {
      for (const listener of each) await listener.close();
    },
  };
  return { webSockets, dataChannels, all };
}
