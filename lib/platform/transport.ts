/** Secrets travel encrypted: plain text only to a server on this machine. */

/** Whether an address is this machine's own, whatever its protocol; false for none. */
export function isLoopback(url: string | undefined): boolean {
  if (!url) return false;
  try {
    // Protocols that URL does not know keep their host unparsed.
    const { hostname } = new URL(url);
    return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i.test(hostname);
  } catch {
    return false;
  }
}

/** Whether secrets may be sent to an address: over TLS, or without leaving this machine. */
export const isPrivate = (url: string): boolean => /^(https|smtps):/i.test(url) || isLoopback(url);
