/** Secrets travel encrypted: plain text is for a server on this very machine. */

/** Whether an address is this machine's own, whatever its protocol; false for none. */
export function isLoopback(url: string | undefined): boolean {
  if (!url) return false;
  try {
    // Protocols the platform does not know keep their host as it is written.
    const { hostname } = new URL(url);
    return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i.test(hostname);
  } catch {
    return false;
  }
}

/** Whether secrets may be sent to an address: over TLS, or without leaving this machine. */
export const isPrivate = (url: string): boolean => /^(https|smtps):/i.test(url) || isLoopback(url);
