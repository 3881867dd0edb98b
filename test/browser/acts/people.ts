/** People's rights, what comes back from archives, and orders in review. */
import { randomUUID } from 'node:crypto';
import { runPolicy } from '@/lib/engine/run/run';
import { takeOrderAction } from '@/lib/orders/actions';
import { days, type Policy } from '@/lib/policies/contract';
import { restoreArchived } from '@/lib/rights/restore/restore';
import { type ActOf, one, REASON, rows, type World } from './act';

/** Somebody with rows, nothing of them held, and nothing in an archive: its files are everybody's. */
const PERSON = `select u.id from users u where exists (select 1 from quiz_responses q where q.user_id = u.id)
  and not exists (select 1 from retention.archive_subject s where s.subject = u.id::text)
  and not exists (select 1 from quiz_responses q where q.user_id = u.id and q.organization_id = md5('organization7')::uuid)
  order by u.id limit 1`;
const asked = (request: string) => `select id from retention.erasure where reason = '${request}'`;
const erasures = rows('select state, count(*)::int as n from retention.erasure group by 1 order by 1');
/** Of an organization: it waits for a second person. */
const waits = async (w: World) => `/erasures/${(await one(w, asked('request 4712'))).id}`;

const ERASURES: readonly ActOf[] = [
  {
    ...{ route: 'request-erasure', form: 'request-erasure', by: 'otto', notBy: 'anna' },
    page: async (w) =>
      `/erasures/new?${new URLSearchParams({ scope: 'user', subject: (await one(w, PERSON)).id! })}`,
    state: erasures,
    typed: { Reason: 'request 4720' },
    typesName: true,
    press: /^Erase [\d,]+ rows?$/,
    says: /✓ /,
    twice: /Not done: |✓ /,
    stale: {
      change: rows(
        `delete from quiz_responses where id in (select id from quiz_responses where user_id = (${PERSON}) limit 1)`,
      ),
      refusal: /this is not what you looked at any more/,
    },
  },
  {
    ...{ route: 'confirm-erasure', page: waits, form: 'confirm-erasure', by: 'anna', notBy: 'otto' },
    state: erasures,
    typed: { Reason: REASON },
    typesName: true,
    press: /^Erase /,
    says: /✓ /,
    twice: /This request is \w+ already/,
  },
  {
    ...{ route: 'withdraw-erasure', page: waits, form: 'withdraw-erasure', by: 'otto', notBy: 'anna' },
    state: erasures,
    typed: { Reason: REASON },
    press: 'Withdraw',
    says: /Withdrawn: nothing more of it is erased/,
    twice: /withdrawn already/,
  },
];

const exports = rows(`select state, count(*)::int as n,
  (select count(*)::int from retention.audit_entry where action like 'export.%') as entries from retention.export group by 1 order by 1`);

const EXPORTS: readonly ActOf[] = [
  {
    ...{ route: 'request-export', page: '/exports/new', form: 'request-export', by: 'otto', notBy: 'anna' },
    state: exports,
    typed: async (w) => ({
      'A person': 'yes',
      Id: (await one(w, PERSON)).id!,
      Reason: 'request 4721',
    }),
    press: 'Make the copy',
    says: /The link, which works once: http/,
    repeats: true,
    twice: /✓ |Not done: /,
  },
  {
    ...{ route: 'link-export', page: '/exports', form: 'link-export-', by: 'otto', notBy: 'anna' },
    state: exports,
    open: 'New link…',
    typed: { Reason: REASON },
    press: 'New link',
    says: /The link, which works once: http/,
    // Each link is another one, and the one before works no more.
    repeats: true,
    twice: /The link, which works once: http/,
  },
  {
    ...{ route: 'withdraw-export', page: '/exports', form: 'withdraw-export-', by: 'otto', notBy: 'anna' },
    state: exports,
    open: 'Take back…',
    typed: { Reason: REASON },
    press: 'Take back',
    says: /Taken back: the copy is deleted/,
    twice: /Taken back|Not done: /,
  },
];

/** An archive of this store alone: of the scene's, an erasure in another copy of it may have taken a file. */
async function archived({ db, services }: World): Promise<void> {
  const pdfs = services.policies.find((p) => p.name === 'generated-pdfs')!;
  const policy: Policy = {
    ...pdfs,
    strategy: { kind: 'archive', keepFor: days(365), files: 'move', rewriteAt: 0 },
  };
  await db.sql(`update generated_pdfs set created_at = now() - interval '60 days', organization_id = md5('organization5')::uuid, file_url = null
    where id in (select id from generated_pdfs where purchase_status = 'unpurchased' order by id limit 12)`);
  const run = { trigger: 'manual', actor: 'otto', correlationId: randomUUID(), dryRun: false } as const;
  await runPolicy({ ...services, policies: [policy] }, policy, {
    ...run,
    deadline: new Date(Date.now() + 60_000),
  });
}
/** All of an organization: it waits for a second person. */
async function restoreAsked(w: World): Promise<void> {
  await archived(w);
  await restoreArchived(w.services, {
    ...{ actor: 'otto', token: w.scene.tokens.otto, deadline: new Date(Date.now() + 60_000) },
    ...{ scope: 'organization', subject: (await one(w, `select md5('organization5')::uuid as id`)).id! },
    ...{ policy: 'generated-pdfs', reason: REASON, keepDays: 30, dryRun: false },
  });
}
const ARCHIVE = `from retention.archive where state = 'kept' order by created_at desc limit 1`;

const restores = rows('select state, count(*)::int as n from retention.restore group by 1 order by 1');
const OPEN = `select id from retention.restore where reason = '${REASON}'`;
const restorePage = async (w: World) => `/restores/${(await one(w, OPEN)).id}`;

const RESTORES: readonly ActOf[] = [
  {
    ...{ route: 'request-restore', form: 'request-restore', by: 'otto', notBy: 'anna' },
    page: async (w) => {
      const { run } = await one(w, `select run ${ARCHIVE}`);
      return `/restores/new?${new URLSearchParams({ scope: 'run', subject: run!, policy: 'generated-pdfs' })}`;
    },
    prepare: archived,
    state: rows('select count(*)::int as n from generated_pdfs'),
    typed: { Reason: REASON },
    press: /^Restore [\d,]+ rows$/,
    says: /✓ /,
    twice: /Not done: this is not what you looked at any more/,
    stale: {
      // One of them is there again.
      change:
        rows(`insert into generated_pdfs (id, user_id, organization_id, purchase_status, file_bytes, created_at)
        select (select keys[1]::uuid ${ARCHIVE}), user_id, organization_id, purchase_status, 0, now() from generated_pdfs limit 1`),
      refusal: /this is not what you looked at any more/,
    },
  },
  {
    ...{ route: 'confirm-restore', page: restorePage, form: 'confirm-restore', by: 'anna', notBy: 'otto' },
    prepare: restoreAsked,
    state: restores,
    typed: { Reason: REASON },
    press: /^Restore [\d,]+ rows?$/,
    says: /✓ /,
    twice: /Not done: this restore is \w+ already/,
  },
  {
    ...{ route: 'resume-restore', page: restorePage, form: 'resume-restore', by: 'otto', notBy: 'anna' },
    // Confirmed, and then the function was ended.
    prepare: async (w) => {
      await restoreAsked(w);
      await w.db.sql(`select retention.confirm_restore('maria', '${REASON}', '${(await one(w, OPEN)).id}')`);
    },
    state: restores,
    press: 'Resume the restore',
    says: /✓ /,
    twice: /Not done: |✓ /,
  },
  {
    ...{ route: 'withdraw-restore', page: restorePage, form: 'withdraw-restore', by: 'otto', notBy: 'anna' },
    prepare: restoreAsked,
    state: restores,
    typed: { Reason: REASON },
    press: 'Withdraw',
    says: /Withdrawn: nothing more of it is restored/,
    twice: /Not done: this restore is withdrawn already/,
  },
];

const IN_REVIEW = `select id from orders where status = 'in_review' and amount_cents = 12900`;
const order = async (w: World) => `/orders/${(await one(w, IN_REVIEW)).id}`;
const dearer = rows(
  `update orders set amount_cents = 13900 where status = 'in_review' and amount_cents = 12900`,
);
const orders =
  rows(`select (select array_agg(status || ' ' || coalesce(resolved_at::text, '') order by id) from orders) as orders,
  (select array_agg(state || ' ' || coalesce(refused_because, '') order by order_key) from retention.refund_intent) as intents,
  (select count(*)::int from retention.audit_entry) as entries`);
const CHANGED = { change: dearer, refusal: /or its amount changed: look again/ };

const ORDERS: readonly ActOf[] = [
  {
    ...{ route: 'resolve-order', page: order, form: 'resolve-order', by: 'otto', notBy: 'anna' },
    state: orders,
    typed: { approved: 'yes', Reason: REASON },
    press: 'Resolve the order',
    says: /Resolved: the order is approved, and does not refund itself/,
    twice: /Not done: the order is approved now/,
    stale: CHANGED,
  },
  {
    ...{ route: 'refund-order', page: order, form: 'refund-order', by: 'otto', notBy: 'anna' },
    state: orders,
    typed: { Reason: REASON },
    press: 'Refund 129.00 EUR',
    says: /Refund asked for: the next watch pays back/,
    twice: /Not done: /,
    stale: CHANGED,
  },
  {
    ...{ route: 'extend-order', page: order, form: 'extend-order', by: 'otto', notBy: 'anna' },
    state: orders,
    typed: async () => ({
      'Until (UTC)': `${new Date(Date.now() + 5 * 86_400_000).toISOString().slice(0, 10)}T12:00`,
      Reason: REASON,
    }),
    press: 'Extend the review',
    says: /Extended: it refunds itself on \d{4}-\d\d-\d\d 12:00 UTC unless decided/,
    twice: /Not done: /,
  },
  {
    ...{ route: 'confirm-refund', form: 'confirm-refund', by: 'anna', notBy: 'otto' },
    page: async (w) =>
      `/orders/${(await one(w, `select order_key as id from retention.refund_intent where refused_because = 'second_operator'`)).id}`,
    // Above the caps, and asked for by one person.
    prepare: async (w) => {
      const { id } = await one(w, IN_REVIEW);
      await w.db.sql(`update orders set amount_cents = 6000000 where id = '${id}'`);
      await takeRefund(w, id!);
    },
    state: orders,
    typed: { Reason: REASON },
    press: 'Pay back 60,000.00 EUR',
    says: /Confirmed: /,
    twice: /Not done: /,
  },
];

const takeRefund = async ({ services, scene }: World, key: string): Promise<void> => {
  const acting = { services, operator: 'otto', token: scene.tokens.otto };
  await takeOrderAction(acting, { action: 'order.refund', order: key, reason: REASON });
};

export const PEOPLE_ACTS: readonly ActOf[] = [...ERASURES, ...EXPORTS, ...RESTORES, ...ORDERS];
