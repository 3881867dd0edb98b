/**
 * `node --import ./lib/dev/local-cloud/preload.mjs`: the Blob client's `get()` ignores VERCEL_BLOB_API_URL and asks
 * the store's own host, so requests to such hosts are sent to the local cloud instead. Both Node's fetch and
 * the client's own undici ask a dispatcher that they share through the global object. Does nothing unless VERCEL_BLOB_API_URL is set.
 */
// Up to version 7 undici shares the first; version 8, and Node's own fetch where it is that new, the second.
const DISPATCHERS = [Symbol.for('undici.globalDispatcher.1'), Symbol.for('undici.globalDispatcher.2')];
const STORE_HOST = /^https:\/\/([^.]+)\.(public|private)\.blob\.vercel-storage\.com$/;

function redirected(options) {
  const host = STORE_HOST.exec(String(options.origin));
  const api = process.env.VERCEL_BLOB_API_URL;
  if (!host || !api) return options;
  const { origin, pathname } = new URL(api);
  const path = `${pathname.replace(/\/$/, '')}/files/${host[1]}/${host[2]}${options.path}`;
  return { ...options, origin, path };
}

// Node makes its dispatchers at the first fetch.
await fetch('data:,');
for (const symbol of DISPATCHERS) {
  const original = globalThis[symbol];
  if (!original) continue;
  globalThis[symbol] = new Proxy(original, {
    get(target, name) {
      if (name === 'dispatch') return (options, handler) => target.dispatch(redirected(options), handler);
      const value = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
