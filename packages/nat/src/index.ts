export { NatError, type NatErrorCode } from './errors.js';
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
export { NetworkWatch, type NetworkWatchOptions } from './network-watch.js';
