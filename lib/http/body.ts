/**
 * The body of a request as one JSON object, cut while it is read: never more than `mostBytes` are kept, and a
 * sender that is too slow is not waited for. What is not UTF-8, begins with a byte order mark or holds half of a
 * character is refused: it could not be stored unchanged.
 */
import { RequestError } from '../platform/errors';

/** An action is a few hundred bytes; a reason of 500 characters may be 2 kB, a key of 8 kB in escapes 48 kB. */
const MOST_BYTES = 65_536;
/** A phone on a slow connection needs a second for a body of that size. */
const MOST_MS = 5_000;

export interface BodyLimits {
  readonly mostBytes?: number;
  readonly mostMs?: number;
}

/** Throws RequestError 400, 408 or 413. */
export async function readJson(
  request: Request,
  { mostBytes = MOST_BYTES, mostMs = MOST_MS }: BodyLimits = {},
): Promise<Record<string, unknown>> {
  // A form on another site cannot send this type without a preflight request.
  if (!/^application\/json\b/i.test(request.headers.get('content-type') ?? '')) {
    throw new RequestError(400, 'not_json', 'send a JSON object with Content-Type: application/json');
  }
  const bytes = await readBytes(request.body, mostBytes, mostMs);
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const body: unknown = JSON.parse(text, wellFormed);
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) {
      return body as Record<string, unknown>;
    }
  } catch (error) {
    if (error instanceof RequestError) throw error;
    // Answered below: the parser's message repeats the input.
  }
  throw new RequestError(
    400,
    'not_json',
    'the body must be one JSON object in UTF-8, without a byte order mark',
  );
}

/** Throws RequestError 408 or 413. */
export async function readBytes(
  body: ReadableStream<Uint8Array> | null,
  mostBytes = MOST_BYTES,
  mostMs = MOST_MS,
): Promise<Buffer> {
  const reader = body?.getReader();
  if (!reader) return Buffer.alloc(0);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((done) => {
    timer = setTimeout(() => done('late'), mostMs);
  });
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const next = await Promise.race([reader.read(), late]);
      if (next === 'late') {
        throw new RequestError(408, 'too_slow', `the body must arrive within ${mostMs / 1000} seconds`);
      }
      if (next.done) return Buffer.concat(chunks);
      length += next.value.byteLength;
      if (length > mostBytes) {
        throw new RequestError(413, 'too_large', `the body must be at most ${mostBytes} bytes`);
      }
      chunks.push(next.value);
    }
  } finally {
    clearTimeout(timer);
    // The rest of the body is not awaited.
    void reader.cancel().catch(() => undefined);
  }
}

/** PostgreSQL cannot store a lone surrogate, nor can it be written as UTF-8. */
function wellFormed(key: string, value: unknown): unknown {
  if (/\p{Surrogate}/u.test(key))
    throw new RequestError(400, 'not_json', 'a name in the body holds half a character');
  if (typeof value === 'string' && /\p{Surrogate}/u.test(value)) {
    throw new RequestError(400, 'bad_field', `${key}: must not hold half a character`, key);
  }
  return value;
}
