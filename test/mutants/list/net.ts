/** The net under the deletions: functions/net.sql and what it is called from. */
import type { Mutant } from '../mutant';

const net = 'test/engine/statement/net.test.ts';
const functions = 'lib/migrations/functions';

export const netMutants: readonly Mutant[] = [
  {
    id: 'N01',
    promise: 'A batch that deleted more rows than its receipt names rolls back.',
    file: `${functions}/batch.sql`,
    find: 'if gone <> named then',
    replace: 'if gone < named then',
    tests: [net],
  },
  {
    id: 'N02',
    promise: 'Deletions of the session’s earlier transactions do not count.',
    file: `${functions}/batch.sql`,
    find: 'e.value::bigint - coalesce((before ->> e.key)::bigint, 0) as n',
    replace: 'e.value::bigint as n',
    tests: [net],
  },
  {
    id: 'N03',
    promise: 'Rows that leave while a row is only marked as deleted are counted.',
    file: `${functions}/batch.sql`,
    find: `named := coalesce(case when rc.action = 'delete' then`,
    replace: `named := coalesce(case when rc.action is not null then`,
    tests: [net],
  },
  {
    id: 'N04',
    promise: 'A batch is refused where the database does not count what it deletes.',
    file: `${functions}/batch.sql`,
    find: `if current_setting('track_counts') <> 'on' then`,
    replace: `if current_setting('track_counts') = 'never' then`,
    tests: [net],
  },
  {
    id: 'N05',
    promise: 'What the role of the app deletes without a batch does not commit.',
    file: `${functions}/net.sql`,
    find: `raise exception 'lapse: rows were deleted without a receipt'`,
    replace: `raise notice 'lapse: rows were deleted without a receipt'`,
    tests: [net],
  },
  {
    id: 'N06',
    promise: 'Counts are confirmed only in the transaction that entered the batch.',
    file: `${functions}/net.sql`,
    find: `current_setting('lapse.proof', true) is distinct from retention.proof_of(r, s, before)`,
    replace: `current_setting('lapse.proof', true) is null`,
    tests: [net],
  },
  {
    id: 'N07',
    promise: 'The look for unconfirmed deletions waits for the commit, so that nothing can follow it.',
    file: `${functions}/batch.sql`,
    find: `  set constraints retention.lapse_receipted deferred;\n`,
    replace: '',
    tests: [net, 'test/engine/guard/poison.test.ts'],
  },
  {
    id: 'N08',
    promise: 'The owner’s own deletions are not Lapse’s business.',
    file: `${functions}/net.sql`,
    find: `and not pg_has_role(session_user, (select relowner from pg_class where oid = tg_relid), 'USAGE')`,
    replace: '',
    tests: ['test/engine/statement/guard.test.ts'],
  },
  {
    id: 'N09',
    promise: 'A guard that is switched off is none.',
    file: 'lib/engine/statement/preflight-catalog.ts',
    find: ` and g.tgenabled in ('O', 'A')`,
    replace: '',
    tests: ['test/engine/statement/guard.test.ts'],
  },
  {
    id: 'N10',
    promise: 'A guard is the guard of deletions, and no other trigger of Lapse.',
    file: 'lib/engine/statement/preflight-tables.ts',
    find: `t.schema === 'retention' && t.function === 'guard_deletion'`,
    replace: `t.schema === 'retention' && t.function !== ''`,
    tests: ['test/engine/statement/guard.test.ts'],
  },
  {
    id: 'N11',
    promise: 'Also a login that has the rights of the app only by changing its role is guarded.',
    file: `${functions}/net.sql`,
    find: `if (pg_has_role(session_user, 'lapse_app', 'MEMBER')`,
    replace: `if (pg_has_role(session_user, 'lapse_app', 'USAGE')`,
    tests: ['test/engine/statement/guard.test.ts'],
  },
  {
    id: 'N12',
    promise: 'What is deleted by the statement that enters a batch is in no count of before.',
    file: `${functions}/batch.sql`,
    find: 'if pg_current_xact_id_if_assigned() is not null then',
    replace: 'if false then',
    tests: ['test/roles/receipts.test.ts'],
  },
];
