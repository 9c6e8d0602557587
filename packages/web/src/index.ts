export * from './messages/parts.js';
export * from './messages/farmer-state.js';
export * from './messages/bridge-state.js';
export * from './messages/network-state.js';
export * from './messages/stream.js';
export { siteDirectory } from './site-directory.js';
