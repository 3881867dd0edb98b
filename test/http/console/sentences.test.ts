import { describe, expect, it } from 'vitest';
import {
  aboutOf,
  byWeight,
  ended,
  keptInWords,
  type PolicyFacts,
  policyState,
  type RunFacts,
  running,
} from '@/lib/http/console/sentences';
import { noneKept } from '@/lib/platform/outcome';

const NOW = new Date('2026-11-22T03:10:00Z');
const ago = (seconds: number) => new Date(NOW.getTime() - seconds * 1000);
const run = (of: Partial<RunFacts>): RunFacts => ({
  mode: 'delete',
  outcome: 'succeeded',
  reason: null,
  startedAt: ago(290),
  finishedAt: ago(10),
  deleted: 0,
  batches: 0,
  kept: {},
  keptBelow: {},
  wouldGo: null,
  ...of,
});
const live = (processed: number, total: number | null, heard: number | null = 0) => ({
  processed,
  total,
  heardAt: heard === null ? null : ago(heard),
});

describe('a run under way', () => {
  it('says how far it is, and in words how long it still takes', () => {
    expect(running(live(372_400, 600_000), ago(290), NOW).sentence).toBe(
      'Deleting: 372,400 of 600,000 (62 %), about 3 min left.',
    );
  });

  it('promises no end while the total is unknown or the rate says nothing', () => {
    expect(running(live(372_400, null), ago(290), NOW).sentence).toBe(
      'Deleting: 372,400 so far. The total is not known yet.',
    );
    expect(running(live(0, 600, null), ago(1), NOW).sentence).toBe('Deleting: 0 of 600 (0 %).');
    expect(running(live(10, 600), ago(2), NOW).sentence).toBe('Deleting: 10 of 600 (1 %).');
  });

  it('says so when it does more than was expected, and never more than 100 %', () => {
    expect(running(live(612_000, 600_000), ago(290), NOW).sentence).toBe(
      'Deleting: 612,000 (600,000 expected).',
    );
    expect(running(live(600_000, 600_000), ago(290), NOW).sentence).toBe(
      'Deleting: 600,000 of 600,000 (100 %).',
    );
  });

  it('says that nothing was heard, and who takes over when', () => {
    expect(running(live(10, 600, 30), ago(290), NOW).word).toBe('Running');
    expect(running(live(10, 600, 40), ago(290), NOW)).toMatchObject({
      word: 'Silent',
      tone: 'wait',
      sentence:
        'No news for 40 s. The lease ends in 20 s; then the next run takes over where this one stopped.',
    });
    expect(running(live(10, 600, 90), ago(290), NOW).sentence).toContain('Its lease has ended');
  });

  it.each([
    [4, 'a few seconds'],
    [41, 'about 50 s'],
    [175, 'about 3 min'],
    [4_900, 'about 1 h 20 min'],
  ])('%s seconds are %s', (seconds, words) => expect(aboutOf(seconds)).toBe(words));
});

/** Every reason that a record can hold, with the word for its state. The type of the sentences says that none is missing. */
const REASONS: readonly [outcome: RunFacts['outcome'], reason: string, word: string][] = [
  ['interrupted', 'time', 'Interrupted'],
  ['interrupted', 'lost', 'Interrupted'],
  ['interrupted', 'limit', 'Interrupted'],
  ['interrupted', 'rollout', 'Interrupted'],
  ['interrupted', 'approval', 'Interrupted'],
  ['interrupted', 'busy', 'Interrupted'],
  ['interrupted', 'unproved', 'Interrupted'],
  ['interrupted', 'lease', 'Interrupted'],
  ['interrupted', 'fenced', 'Interrupted'],
  ['interrupted', 'outbox', 'Interrupted'],
  ['interrupted', 'paused', 'Interrupted'],
  ['skipped', 'outbox', 'Waits'],
  ['skipped', 'paused', 'Paused'],
  ['skipped', 'stopped', 'Stopped'],
  ['skipped', 'locked', 'Skipped'],
  ['skipped', 'breaker', 'Breaker open'],
  ['skipped', 'cooling', 'Cooling off'],
  ['skipped', 'guarded', 'Guarded'],
  ['errored', 'preflight', 'Errored'],
  ['errored', 'redis', 'Errored'],
  ...['transient', 'busy', 'unknown', 'poisoned', 'timeout', 'fenced', 'fatal'].map(
    (failure) => ['errored', `database.${failure}`, 'Errored'] as const,
  ),
  ...['transient', 'not_found', 'changed', 'refused', 'fatal'].map(
    (failure) => ['errored', `blob.${failure}`, 'Errored'] as const,
  ),
  ...['missing', 'damaged', 'row_too_large'].map(
    (failure) => ['errored', `archive.${failure}`, 'Errored'] as const,
  ),
].map(([outcome, reason, word]) => [outcome as RunFacts['outcome'], reason!, word!]);

describe('a run that has ended', () => {
  it.each(REASONS)(
    '%s because of %s is one sentence of its own, and its word is %s',
    (outcome, reason, word) => {
      const said = ended(run({ outcome, reason, deleted: 30_720, batches: 12 }));
      expect(said.word).toBe(word);
      expect(said.sentence).toMatch(/^[A-Z].*[.]$/);
      const others = REASONS.filter(([o, r]) => r !== reason || o !== outcome).map(
        ([o, r]) => ended(run({ outcome: o, reason: r, deleted: 30_720, batches: 12 })).sentence,
      );
      expect(others).not.toContain(said.sentence);
    },
  );

  it('that was drained says what went and what stayed, or that there was nothing', () => {
    const kept = { ...noneKept(), held: 3, not_expired: 90 };
    expect(ended(run({ deleted: 1_204, batches: 2, kept })).sentence).toBe(
      'Nothing past its date is left. 1,204 deleted at 03:09 UTC, 3 kept because of a hold.',
    );
    expect(ended(run({})).sentence).toBe('Ran and found nothing to delete.');
  });

  it('that ran out of time says where it stands, and one that failed that nothing is half done', () => {
    expect(ended(run({ outcome: 'interrupted', reason: 'time' })).sentence).toBe(
      'Out of time after 4 min. The place is kept; the next run continues there.',
    );
    expect(
      ended(run({ outcome: 'errored', reason: 'database.timeout', deleted: 30_720, batches: 12 })).sentence,
    ).toBe(
      'A statement took too long. Failed after 12 batches: 30,720 deleted before are receipted; nothing is half done.',
    );
  });

  it('with a reason that this version does not know is shown with that reason, and needs a look', () => {
    const said = ended(run({ outcome: 'interrupted', reason: 'flooded' }));
    expect([said.tone, said.sentence]).toEqual(['wait', 'Ended because of flooded. Nothing was deleted.']);
  });

  it('dry says so first, what would go, and that nothing went', () => {
    const wouldGo = { rows: 5_352, runs: 2 };
    expect(ended(run({ mode: 'dry_run', wouldGo })).sentence).toBe(
      '[DRY RUN] Would delete 5,352 rows, in about 2 runs. Nothing was deleted; it cannot.',
    );
    expect(
      ended(run({ mode: 'dry_run', outcome: 'interrupted', reason: 'time', wouldGo })).sentence,
    ).toContain('at least 5,352 rows');
    expect(ended(run({ mode: 'dry_run', outcome: 'errored', reason: 'preflight' })).tone).toBe('bad');
  });
});

it('every reason why a row stayed has its words', () => {
  const each = Object.fromEntries(Object.keys(noneKept()).map((reason) => [reason, 2]));
  expect(keptInWords(each).split(', ')).toHaveLength(Object.keys(each).length);
  expect(keptInWords(noneKept())).toBe('');
  expect(keptInWords({ not_expired: 1, busy: 2, unnoticed: 1 })).toBe(
    '1 kept because it is not past its date, 1 because its organization was not told in time, 2 because someone else was changing them',
  );
  expect(
    keptInWords(
      { held: 12, referenced: 1 },
      { held: { 'public.invoices': 9 }, referenced: { 'public.pin': 1 } },
    ),
  ).toBe(
    '12 kept because of a hold (9 by rows of public.invoices), 1 because other rows refer to it (1 by rows of public.pin)',
  );
});

describe('a policy', () => {
  const facts = (of: Partial<PolicyFacts>): PolicyFacts => ({
    ...{ stopped: null, paused: null, live: null, breaker: null, run: null, next: null },
    ...of,
  });
  const paused = { by: 'maria', why: 'legal asks', at: ago(3_600) };

  it('says first what it does now, then what stops it, then how it went', () => {
    const all = facts({
      live: { ...live(1, 2), startedAt: ago(60) },
      stopped: { by: 'otto', why: 'too much', at: ago(60) },
      paused,
      breaker: { secondsLeft: 600 },
      run: run({}),
    });
    const words = [
      all,
      { ...all, live: null },
      { ...all, live: null, stopped: null },
      { ...all, live: null, stopped: null, paused: null },
      { ...all, live: null, stopped: null, paused: null, breaker: null },
      facts({}),
    ].map((f) => policyState(f, NOW).word);
    expect(words).toEqual(['Running', 'Stopped', 'Paused', 'Breaker open', 'Drained', 'Not run yet']);
  });

  it('that is paused names who did it, since when and why', () => {
    expect(policyState(facts({ paused }), NOW).sentence).toBe(
      'By maria since 2026-11-22 02:10 UTC: “legal asks”. Nothing is deleted.',
    );
  });

  it('whose breaker is open says when it tries again', () => {
    const breaker = { secondsLeft: 600 };
    expect(policyState(facts({ breaker }), NOW).sentence).toBe(
      'Failed 3 times or more in a row. Tries again after 03:20 UTC.',
    );
  });

  it('that began and was not heard of is not said to run', () => {
    expect(policyState(facts({ run: run({ outcome: null, finishedAt: null }) }), NOW).word).toBe('Unheard');
  });

  it('stands the higher the more it needs a person', () => {
    const states = [
      facts({ run: run({}) }),
      facts({ live: { ...live(1, 2), startedAt: ago(60) } }),
      facts({ run: run({ outcome: 'errored', reason: 'redis' }) }),
      facts({ run: run({ outcome: 'skipped', reason: 'guarded' }) }),
      facts({ paused }),
    ].map((f) => policyState(f, NOW));
    expect([...states].sort(byWeight).map((s) => s.word)).toEqual([
      'Errored',
      'Guarded',
      'Running',
      'Paused',
      'Drained',
    ]);
  });
});
