/**
 * What Node is started with for every process of ours; the first line of bin/granary.mjs and the systemd
 * units say the same. A small young generation keeps memory small; collecting garbage is for `ShortLivedBuffers`.
 */
export const nodeFlags = ['--max-semi-space-size=2', '--expose-gc'];
