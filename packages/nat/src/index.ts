export { NatError, type NatErrorCode } from './errors.js';
export {
  TunnelServer,
  type TunnelServerOptions,
  type TunnelStats,
} from './tunnel/tunnel-server.js';
export { defaultTunnelLimits, type TunnelLimits } from './tunnel/tunnel-limits.js';
export type { PortRange } from './tunnel/ports.js';
export {
  TunnelConnection,
  defaultTunnelClientLimits,
  type TunnelClientLimits,
  type TunnelConnectionOptions,
  type TunnelPeer,
} from './tunnel/tunnel-connection.js';
export type {
  Carried,
  TunnelAccounts,
  TunnelClient,
  TunnelPurse,
} from './tunnel/tunnel-accounts.js';
export { parseTunnelTerms, type TunnelTerms } from './tunnel/tunnel-terms.js';
