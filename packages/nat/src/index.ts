export { NatError, type NatErrorCode } from './errors.js';
export { formatProxy, parseProxy, type ProxySettings } from './proxy-settings.js';
export { isOwnMachine, proxiedDialer, type ProxiedDialer } from './proxied-dialer.js';
export { dialedFetch, ownMachineFetch } from './dialed-fetch.js';
