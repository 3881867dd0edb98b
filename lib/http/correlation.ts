/** One id from the request through every log line, the record and the answer (M1). */
import { randomUUID } from 'node:crypto';

/** The caller's own id if it is harmless to log, else Vercel's, else a new one. */
export function correlationOf(request: Request): string {
  for (const header of ['x-correlation-id', 'x-vercel-id']) {
    const value = request.headers.get(header);
    if (value && /^[\w:.-]{1,128}$/.test(value)) return value;
  }
  return randomUUID();
}
