/**
 * libp2p 3 calls Promise.withResolvers, which Node has from version 22 on. It is all that keeps it
 * from running on Node 20, on which everything here runs.
 */
(Promise as { withResolvers?: unknown }).withResolvers ??= () => {
  let resolve: unknown;
  let reject: unknown;
  const promise = new Promise((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
};
