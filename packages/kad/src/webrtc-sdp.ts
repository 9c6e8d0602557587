// WebRTC without signalling, in the manner of libp2p's webrtc-direct: both sides know beforehand what the
// other would say. The server's port, and the hash of its certificate, are in its address. The server finds
// what it needs of the client in the name that the client's first packet (STUN) carries: the client has
// made up the server's ICE name, and has put its own ICE password into it. Nothing of the browser's own
// offer is altered, which browsers may stop to allow.

/** What an ICE name that a client has made up begins with. */
const PREFIX = 'granary';

/** The server's ICE name and password, from the client's offer. */
export function serverIceOf(offer: string): { readonly ufrag: string; readonly pwd: string } {
  const pwd = /^a=ice-pwd:([A-Za-z0-9+/]{22,128})\r?$/m.exec(offer)?.[1];
  if (pwd === undefined) throw new Error('the browser’s offer has no ICE password');
  const ufrag = `${PREFIX}${pwd}`;
  return { ufrag, pwd: ufrag };
}

/** The client's ICE password, from the name that it made up; undefined when it made up none. */
export function clientPasswordOf(serverUfrag: string): string | undefined {
  return /^granary([A-Za-z0-9+/]{22,128})$/.exec(serverUfrag)?.[1];
}

interface Side {
  readonly host: string;
  readonly port: number;
  readonly ufrag: string;
  readonly pwd: string;
  /** Of the certificate, 64 hex digits. */
  readonly certificate: string;
}

function describe(side: Side, lines: readonly string[]): string {
  const family = side.host.includes(':') ? 'IP6' : 'IP4';
  const fingerprint = side.certificate.toUpperCase().match(/../g)!.join(':');
  return [
    'v=0',
    `o=- 0 0 IN ${family} ${side.host}`,
    's=-',
    't=0 0',
    ...lines.filter((line) => line === 'a=ice-lite'),
    `m=application ${side.port} UDP/DTLS/SCTP webrtc-datachannel`,
    `c=IN ${family} ${side.host}`,
    'a=mid:0',
    `a=ice-ufrag:${side.ufrag}`,
    `a=ice-pwd:${side.pwd}`,
    `a=fingerprint:sha-256 ${fingerprint}`,
    'a=sctp-port:5000',
    'a=max-message-size:262144',
    ...lines.filter((line) => line !== 'a=ice-lite'),
    `a=candidate:1 1 UDP 1 ${side.host} ${side.port} typ host`,
    '',
  ].join('\r\n');
}

/** What the server would answer. */
export function serverAnswer(side: Side): string {
  return describe(side, [
    'a=ice-lite',
    'a=ice-options:ice2',
    'a=setup:passive',
    'a=end-of-candidates',
  ]);
}

/** What the client would have offered; its certificate is of its own making, and means nothing. */
export function clientOffer(side: Omit<Side, 'certificate'>): string {
  return describe({ ...side, certificate: '00'.repeat(32) }, ['a=setup:active']);
}
