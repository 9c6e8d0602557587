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
  TunnelParty,
  TunnelPrice,
  TunnelPurse,
} from './tunnel/tunnel-accounts.js';
export { parseTunnelTerms, type TunnelTerms } from './tunnel/tunnel-terms.js';
export {
  MAPPING_PROTOCOLS,
  type Gateway,
  type MapRequest,
  type Mapping,
  type MappingClient,
  type MappingEnvironment,
  type MappingProtocol,
  type UnmapRequest,
} from './mapping/mapping.js';
export { findDefaultGateway } from './mapping/default-gateway.js';
export { isCarrierIpv4, isPublicIpv4 } from './mapping/ipv4.js';
export {
  PortMapper,
  mappingClient,
  type MappingAttempt,
  type PortMapperOptions,
} from './mapping/port-mapper.js';
export { Announcer, type AddressSource } from './announcer.js';
export {
  DIAL_BACK,
  DialBack,
  OBSERVED_ADDRESS,
  type DialBackOptions,
} from './reachability/dial-back.js';
export {
  Reachability,
  hasPublicAddress,
  type ReachabilityOptions,
  type ReachabilityStatus,
} from './reachability/reachability.js';
export type { AddressCheck } from './reachability/verdict.js';
export { NetworkWatch, type NetworkWatchOptions } from './network-watch.js';
export { formatProxy, parseProxy, type ProxySettings } from './proxy-settings.js';
export { isOwnMachine, proxiedDialer, type ProxiedDialer } from './proxied-dialer.js';
export { dialedFetch, ownMachineFetch } from './dialed-fetch.js';
export { diagnose, type DiagnoseOptions } from './doctor/diagnose.js';
export type { Diagnosis, ProtocolTrial } from './doctor/diagnosis.js';
export { advise, explainNat, explainPorts } from './doctor/advice.js';
export type { NatKind, PortBehaviour } from './doctor/nat-kind.js';
export {
  TUNNEL_TERMS,
  TunnelDirectory,
  type TunnelDirectoryOptions,
  type TunnelOffer,
} from './tunnel/tunnel-directory.js';
export { TunnelKeeper, type OpenTunnel, type TunnelKeeperOptions } from './tunnel/tunnel-keeper.js';
export {
  Tunnels,
  type TunnelMode,
  type TunnelsOptions,
  type TunnelsStatus,
} from './tunnel/tunnels.js';
export { HOLE_PUNCH, HolePuncher, type HolePuncherOptions } from './punch/hole-puncher.js';
export {
  WebRtcListener,
  type ChannelTaker,
  type WebRtcSettings,
} from './webrtc/webrtc-listener.js';
