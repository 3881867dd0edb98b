import { afterEach, beforeEach, expect, it } from 'vitest';
import { auditRoute, cleanupRoute } from '@/lib/http/audit-routes';
import { qualityRoute } from '@/lib/http/quality-report';
import { type Engine, engine } from '@/test/support/engine';
import { OPERATORS, TOKENS } from '@/test/support/operators';

let e: Engine;
beforeEach(async () => {
  e = await engine({ env: { LAPSE_OPERATORS: OPERATORS } });
});
afterEach(() => e.stop());

it.each([
  ['entries', '?subject=%00', 'subject'],
  ['lineage', '?table=public.things&key=%00', 'key'],
  ['lineage', '?table=a%00b&key=x', 'table'],
  ['cleanup', '?from=0000-01-01&to=0000-02-01', 'from'],
  ['cleanup', '?from=0999-01-01&to=2026-02-01', 'from'],
  ['quality', '?from=0000-01-01&to=0000-02-01', 'from'],
])('%s%s is refused with 400, naming the field', async (view, query, field) => {
  const provide = () => e.services;
  const route =
    view === 'cleanup'
      ? cleanupRoute(provide)
      : view === 'quality'
        ? qualityRoute(provide)
        : auditRoute(view, provide);
  const request = new Request(`https://lapse.test/x${query}`, {
    headers: { authorization: `Bearer ${TOKENS.alice}` },
  });
  const response = await route(request);
  expect([response.status, ((await response.json()) as { error: { field: string } }).error.field]).toEqual([
    400,
    field,
  ]);
});

it('a token that is too short is told so, and any other is not', async () => {
  const ask = async (token: string) => {
    const request = new Request('https://lapse.test/x', { headers: { authorization: `Bearer ${token}` } });
    const response = await auditRoute('head', () => e.services)(request);
    return [
      response.status,
      ((await response.json()) as { error: { message: string } }).error.message,
    ] as const;
  };
  expect(await ask('short')).toEqual([401, expect.stringContaining('at least 16 characters')]);
  expect(await ask('long-enough-but-unknown')).toEqual([401, expect.stringContaining('LAPSE_OPERATORS')]);
});
