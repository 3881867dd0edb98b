/**
 * `node --import ./lib/local-cloud/preload.mjs`: the Blob client's `get()` ignores VERCEL_BLOB_API_URL and asks
 * the store's own host, so requests to such hosts are sent to the local cloud instead. Both Node's fetch and
 * the client's own undici ask this one dispatcher. Does nothing unless VERCEL_BLOB_API_URL is set.
 */
const DISPATCHER = Symbol.for('undici.globalDispatcher.1');
const STORE_HOST = /^https:\/\/([^.]+)\.(public|private)\.blob\.vercel-storage\.com$/;

// Node makes its dispatcher at the first fetch.
if (!globalThis[DISPATCHER]) await fetch('data:,');
const original = globalThis[DISPATCHER];

function redirected(options) {
  const host = STORE_HOST.exec(String(options.origin));
  const api = process.env.VERCEL_BLOB_API_URL;
  if (!host || !api) return options;
  const { origin, pathname } = new URL(api);
  return {
    ...options,
    origin,
    path: `${pathname.replace(/\/$/, '')}/files/${host[1]}/${host[2]}${options.path}`,
  };
}

globalThis[DISPATCHER] = new Proxy(original, {
  get(target, name) {
    if (name === 'dispatch') return (options, handler) => target.dispatch(redirected(options), handler);
    const value = Reflect.get(target, name);
    return typeof value === 'function' ? value.bind(target) : value;
  },
});
