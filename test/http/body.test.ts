import { expect, it } from 'vitest';
import { readJson } from '@/lib/http/body';
import { RequestError } from '@/lib/platform/errors';

const post = (body: BodyInit, type = 'application/json') =>
  new Request('https://lapse.test/', {
    method: 'POST',
    headers: { 'content-type': type },
    body,
    ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
  } as RequestInit);
const refusal = async (body: BodyInit, limits = {}, type?: string): Promise<[number, string]> => {
  try {
    await readJson(post(body, type), limits);
  } catch (error) {
    if (error instanceof RequestError) return [error.status, error.code];
    throw error;
  }
  throw new Error('it was taken');
};

it('returns the object that was sent', async () => {
  expect(await readJson(post('{"reason":"Grüße 👋"}'))).toEqual({ reason: 'Grüße 👋' });
});

it.each<[string, BodyInit]>([
  ['half an object', '{"a":'],
  ['a list', '[1]'],
  ['nothing', ''],
  ['a byte order mark before it', '\ufeff{"a":1}'],
  ['half a character in a name', '{"\\ud83d":1}'],
  ['bytes that are no UTF-8', new Uint8Array([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d])],
])('refuses %s with 400', async (_, body) => {
  expect(await refusal(body)).toEqual([400, 'not_json']);
});

it.each(['{"a":"\\ud83d"}', '{"b":[{"a":"x\\udc4bx"}]}'])(
  'refuses half a character with 400, naming its field: %s',
  async (body) => {
    await expect(readJson(post(body))).rejects.toMatchObject({ status: 400, field: 'a' });
  },
);

it('refuses another content type: a form of another site could send it', async () => {
  expect(await refusal('{}', {}, 'text/plain')).toEqual([400, 'not_json']);
});

it('stops reading at its limit: the rest of a long body is never asked for', async () => {
  let asked = 0;
  let canceled = false;
  const long = new ReadableStream<Uint8Array>({
    pull: (c) => {
      asked += 1;
      c.enqueue(new Uint8Array(1_000).fill(0x20));
      // Long enough: a reader without a limit must come to an end all the same.
      if (asked === 200) c.close();
    },
    cancel: () => {
      canceled = true;
    },
  });
  expect(await refusal(long, { mostBytes: 10_000 })).toEqual([413, 'too_large']);
  expect(asked).toBeLessThan(20);
  expect(canceled).toBe(true);
});

it('does not wait for a sender that never finishes', async () => {
  const silent = new ReadableStream<Uint8Array>({ start: (c) => c.enqueue(new Uint8Array([0x7b])) });
  expect(await refusal(silent, { mostMs: 20 })).toEqual([408, 'too_slow']);
});
