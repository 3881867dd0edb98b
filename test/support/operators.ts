/** Two operators with their tokens, and requests of theirs to the control endpoint. */
import { createHash } from 'node:crypto';
import { controlRoute } from '@/lib/http/operator-route';
import type { Services } from '@/lib/services';

export const TOKENS = { alice: 'alice-token-0123456789', bob: 'bob-token-0123456789ab' } as const;
const hash = (token: string) => createHash('sha256').update(token).digest('hex');
export const OPERATORS = Object.entries(TOKENS)
  .map(([name, token]) => `${name}:${hash(token)}`)
  .join(',');

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown> & { error?: { code: string; message: string; field?: string } };
}

const read = async (r: Response): Promise<Answer> => ({
  status: r.status,
  body: (await r.json()) as Answer['body'],
});

export const act = async (services: Services, who: keyof typeof TOKENS, body: unknown): Promise<Answer> =>
  read(
    await controlRoute(() => services).POST(
      new Request('http://localhost/api/control', {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKENS[who]}`, 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    ),
  );

export const list = async (services: Services, query = ''): Promise<Answer> =>
  read(
    await controlRoute(() => services).GET(
      new Request(`http://localhost/api/control${query}`, {
        headers: { authorization: `Bearer ${TOKENS.alice}` },
      }),
    ),
  );

/** What an operator's endpoint answers to a body. */
export async function postAs(
  who: keyof typeof TOKENS,
  route: { POST(request: Request): Promise<Response> },
  body: object,
): Promise<{ status: number; body: Record<string, never> }> {
  const response = await route.POST(
    new Request('https://lapse.test/', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKENS[who]}` },
      body: JSON.stringify({ reason: 'as asked', ...body }),
    }),
  );
  return { status: response.status, body: (await response.json()) as Record<string, never> };
}
