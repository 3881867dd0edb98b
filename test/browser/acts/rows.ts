/** What keeps rows, what tries them again, and the one way out of a permanent table. */
import { addressHash } from '@/lib/operators/permanent';
import { type ActOf, one, REASON, rows, type World } from './act';

const holdPage = async (w: World) =>
  `/holds/${(await one(w, 'select id from retention.hold where released_at is null limit 1')).id}`;

const HOLDS: readonly ActOf[] = [
  {
    ...{ route: 'place-hold', page: '/holds/new', form: 'place-hold', by: 'otto', notBy: 'anna' },
    state: rows('select count(*)::int as n from retention.hold'),
    typed: async (w) => ({
      'Of an organization': 'yes',
      Id: (await one(w, `select md5('organization3')::uuid as id`)).id!,
      'Day of review (UTC)': '2030-05-05',
      Reason: 'HOLD-13',
    }),
    press: 'Place the hold',
    says: /Held: it keeps .* now\. No batch that began earlier is still running/,
    twice: /This hold is placed already/,
  },
  {
    ...{ route: 'review-hold', page: holdPage, form: 'review-hold', by: 'otto', notBy: 'anna' },
    state: rows('select review_at from retention.hold'),
    typed: { 'Next day of review (UTC)': '2030-06-06', Reason: REASON },
    press: 'Keep it',
    says: /its next day of review is 2030-06-06/,
    twice: /Its next day of review is 2030-06-06 already/,
  },
  {
    ...{ route: 'release-hold', page: holdPage, form: 'release-hold', by: 'anna', notBy: 'otto' },
    state: rows('select count(*)::int as n from retention.hold where released_at is not null'),
    typed: { Reason: REASON },
    typesName: true,
    press: /^Release /,
    says: /Released: what ".*" kept may go at the next run/,
    twice: /has released this hold already/,
  },
];

const EXTENDED = 'select table_name, row_key from retention.extension order by created_at limit 1';
const extensions = rows(
  'select table_name, row_key, keep_until from retention.extension order by created_at, row_key',
);
/** Rows of one organization that go with the same run some days ahead: it takes all of thirty days up to two in the morning. */
const COMING = `from quiz_responses where organization_id = (select organization_id from quiz_responses
    where completed_at between now() - interval '25 days' and now() - interval '20 days' and organization_id <> md5('organization7')::uuid
    order by completed_at, id limit 1)
  and completed_at between now() - interval '25 days' and now() - interval '20 days'`;

const EXTENSIONS: readonly ActOf[] = [
  {
    ...{ route: 'extend-row', page: '/extensions/new', form: 'extend-row', by: 'otto', notBy: 'anna' },
    state: extensions,
    typed: async (w) => ({
      Table: 'public.quiz_responses',
      Key: (await one(w, `select id ${COMING} limit 1`)).id!,
      'Keep until (UTC)': '2030-07-07',
      Reason: REASON,
    }),
    press: 'Extend the row',
    says: /Extended: the row stays until 2030-07-07/,
    twice: /the row stays until 2030-07-07|Not done: /,
  },
  {
    ...{ route: 'end-extension', form: 'end-extension', by: 'anna', notBy: 'otto' },
    page: async (w) => {
      const { table_name: table, row_key: key } = await one(w, EXTENDED);
      return `/extensions/end?${new URLSearchParams({ table: table!, key: key! })}`;
    },
    state: extensions,
    typed: { Reason: REASON },
    typesName: true,
    press: 'End 1 extension',
    says: /Ended: the row may go/,
    twice: /Ended: the row may go|Not done: /,
  },
  {
    ...{ route: 'extend-day', form: 'extend-day', by: 'otto', notBy: 'anna' },
    page: async (w) => {
      const { organization, day } = await one(
        w,
        `select organization_id as organization, to_char((completed_at + interval '30 days 22 hours') at time zone 'UTC', 'YYYY-MM-DD') as day
         ${COMING} order by completed_at limit 1`,
      );
      return `/extensions/day?${new URLSearchParams({ policy: 'quiz-responses', organization: organization!, day: day! })}`;
    },
    state: extensions,
    typed: { 'Keep until (UTC)': '2030-08-08', Reason: REASON },
    press: /^Extend [\d,]+ rows?$/,
    says: /Extended: [\d,]+ rows? stays? until 2030-08-08/,
    twice: /Not done: |until 2030-08-08/,
    stale: {
      change: rows(`delete ${COMING}`),
      refusal: /Not done: /,
    },
  },
];

const LETTER = 'select id from retention.dead_letter limit 1';
const letterPage = async (w: World) => `/letters/row/${(await one(w, LETTER)).id}`;
const letters = rows('select state, assigned_to, next_attempt_at from retention.dead_letter');
const waiting = rows(`update retention.dead_letter set next_attempt_at = now() + interval '6 hours'`);

const LETTERS: readonly ActOf[] = [
  {
    ...{ route: 'retry-letter', page: letterPage, form: 'retry-letter', by: 'otto', notBy: 'anna' },
    state: letters,
    prepare: waiting,
    typed: { Reason: REASON },
    press: 'Try again',
    says: /It is due now: the next run of documents-purge tries it/,
    twice: /It is due already/,
  },
  {
    ...{ route: 'retry-letters', page: '/letters?kind=row&policy=documents-purge', form: 'retry-letters' },
    ...{ by: 'otto', notBy: 'anna' },
    state: letters,
    prepare: waiting,
    typed: { Reason: REASON },
    press: 'Try all of documents-purge again',
    says: /1 row due now/,
    twice: /No row of documents-purge waits/,
  },
  {
    ...{ route: 'assign-letter', page: letterPage, form: 'assign-letter', by: 'otto', notBy: 'anna' },
    state: letters,
    typed: { Operator: 'maria', Reason: REASON },
    press: 'Assign',
    says: /maria looks after it now/,
    twice: /maria looks after it already/,
  },
  {
    ...{ route: 'discard-letter', page: letterPage, form: 'discard-letter', by: 'otto', notBy: 'anna' },
    state: letters,
    typed: { Reason: REASON },
    press: 'Discard 1 row',
    says: /Discarded: the row stays in the database forever/,
    twice: /is not open any more/,
  },
];

const ADDRESS = 'gone@example.com';
const noted = rows(`insert into email_blacklist (email, reason) values ('${ADDRESS}', 'bounce')`);
const hashOf = ({ services }: World): string => addressHash(services.settings.rightsKeys, ADDRESS)!;
const entries = rows('select count(*)::int as n from email_blacklist');

const BLACKLIST: readonly ActOf[] = [
  {
    ...{ route: 'find-entry', page: '/blacklist', form: 'find-entry', by: 'anna', notBy: 'otto' },
    state: null,
    typed: { Table: 'public.email_blacklist', Address: ADDRESS },
    press: 'Find its hash',
    says: /This is the hash of the address you wrote/,
    repeats: true,
    twice: /This is the hash of the address you wrote/,
  },
  {
    ...{ route: 'remove-entry', form: 'remove-entry', by: 'anna', notBy: 'otto' },
    page: async (w) =>
      `/blacklist?${new URLSearchParams({ table: 'public.email_blacklist', hash: hashOf(w) })}`,
    prepare: noted,
    state: entries,
    typed: { Reason: REASON },
    typesName: true,
    press: 'Remove 1 entry',
    says: /Removed: this address may be written to again/,
    twice: /Not done: .*has no row/,
  },
];

export const ROW_ACTS: readonly ActOf[] = [...HOLDS, ...EXTENSIONS, ...LETTERS, ...BLACKLIST];
