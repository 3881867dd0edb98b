import { afterEach, beforeEach, expect, it } from 'vitest';
import { verify } from '@/lib/operators/audit/verify';
import { type Guarded, guarded } from '@/test/support/guarded';

let e: Guarded;
beforeEach(async () => {
  e = await guarded();
});
afterEach(() => e.stop());

it('a chain of more entries than one answer has is verified to its end, and an edit beyond the first page is named', async () => {
  await e.db.sql(
    `select retention.record('lapse', 'test.noted', i::text, 'of a test', '{}') from generate_series(1, 2100) i`,
  );
  expect(await verify(e.services.database)).toMatchObject({ ok: true, complete: true, entries: 2100 });
  await e.db.sql(
    `begin; set local session_replication_role = replica; update retention.audit_entry set reason = 'another' where n = 2050; commit`,
  );
  const { ok, problems } = await verify(e.services.database);
  expect(ok).toBe(false);
  expect(problems).toMatchObject([{ n: 2050, kind: 'edited' }]);
});
