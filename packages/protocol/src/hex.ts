export { fromHex, toHex } from '@granary/kad';
