import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { archives, restoreRow, restores } from '@/lib/http/console/lists';
import { type RestoreAsk, seeRestore } from '@/lib/http/console/right';
import {
  confirmRestoreRoute,
  requestRestoreRoute,
  resumeRestoreRoute,
  withdrawRestoreRoute,
} from '@/lib/http/console/right-acts';
import { type Archived, archivedFiles } from '@/test/support/archived';
import { CONSOLE_ENV, form, STAFF } from '@/test/support/console';
import { bound, chain, refusesStrangers, send } from '@/test/support/deciding';
import { left } from '@/test/support/engine';
import { suffixed } from '@/test/support/files';

const ORG = '00000000-0000-4000-8000-00000000000a';
let e: Archived;
let run: string;
let ids: string[];
beforeEach(async () => {
  e = await archivedFiles({ env: CONSOLE_ENV });
  await e.db.sql('grant select, insert on pictures, notes to lapse_operator');
  await e.upload(suffixed(0), suffixed(1));
  ids = await e.rows([0, 1].map((i) => ({ age: 40, file: suffixed(i), org: ORG })));
  const result = await e.runNow();
  expect(result).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  run = result.runId!;
  e.pass(60);
  await e.drain();
  await bound(e.db);
});
afterEach(() => e.stop());

const otto = { actor: 'otto', token: STAFF.otto.token };
const ofRun = (): RestoreAsk => ({ scope: 'run', subject: run, keepDays: 30 });
const asked = async (ask: RestoreAsk = ofRun(), more = {}) => {
  const { digest } = await seeRestore(e.services, ask, otto);
  return {
    ...{ scope: ask.scope, subject: ask.subject, policy: ask.policy ?? '', keepDays: '30' },
    ...{ digest, reason: 'a customer asked', ...more },
  };
};

describe('restoring a run', () => {
  it('is looked at first, which writes nothing, and then brings back exactly that, once', async () => {
    expect((await archives(e.services, { run })).entries).toMatchObject([{ policy: 'pictures', rows: 2 }]);
    const seen = await seeRestore(e.services, ofRun(), otto);
    expect(seen.result).toMatchObject({ mode: 'dry_run', counts: { restored: 2 }, problems: [] });
    expect(await left(e.db, 'pictures')).toBe(0);
    const answer = await send(e.services, requestRestoreRoute, 'otto', await asked());
    expect(answer.said?.done).toBe(true);
    expect(await left(e.db, 'pictures')).toBe(2);
    expect(await restoreRow(e.services, answer.path.split('/').at(-1)!)).toMatchObject({
      state: 'done',
      requested_by: 'otto',
      counts: { restored: 2 },
    });
    expect((await chain(e.db)).some((x) => x === 'restore.requested otto')).toBe(true);
    const again = await send(e.services, requestRestoreRoute, 'otto', await asked());
    expect(again.said?.text).toContain('2 rows are there already');
    expect(await left(e.db, 'pictures')).toBe(2);
  });

  it('reports what is in the way, and does not write over it', async () => {
    await e.db.sql('insert into pictures (id, at) values ($1, now())', [ids[0]]);
    const { result } = await seeRestore(e.services, ofRun(), otto);
    expect(result!.problems).toMatchObject([{ table: 'public.pictures', key: ids[0] }]);
    await send(e.services, requestRestoreRoute, 'otto', await asked());
    expect(await e.db.sql('select file from pictures where id = $1', [ids[0]])).toEqual([{ file: null }]);
  });

  it('is refused when what would come back is not what was looked at', async () => {
    const typed = await asked();
    await e.db.sql('insert into pictures (id, at) values ($1, now())', [ids[0]]);
    const answer = await send(e.services, requestRestoreRoute, 'otto', typed);
    expect(answer.said).toMatchObject({
      done: false,
      text: expect.stringContaining('not what you looked at'),
    });
    expect(await left(e.db, 'retention.restore')).toBe(0);
  });

  it('is for who operates, on this site, with a reason', async () => {
    const typed = await asked();
    await refusesStrangers(e.services, e.db, requestRestoreRoute, typed);
    const without = await send(e.services, requestRestoreRoute, 'otto', { ...typed, reason: '' });
    expect(without).toMatchObject({
      path: '/restores/new',
      said: { done: false, field: 'reason', typed: { subject: run } },
    });
    expect(await left(e.db, 'pictures')).toBe(0);
  });
});

describe('restoring an organization', () => {
  const ask = async (who: 'otto' | 'maria'): Promise<string> => {
    const typed = await asked({ scope: 'organization', subject: ORG, keepDays: 30 });
    const answer = await send(e.services, requestRestoreRoute, who, typed);
    expect(answer.said?.text).toContain('nothing was restored yet');
    return answer.path.split('/').at(-1)!;
  };

  it('waits for a second person, who lets it go', async () => {
    const id = await ask('otto');
    const typed = { id, reason: 'checked' };
    await refusesStrangers(e.services, e.db, confirmRestoreRoute, typed);
    expect(
      (await confirmRestoreRoute(() => e.services).POST(await form(e.services, 'otto', typed))).status,
    ).toBe(403);
    expect((await send(e.services, resumeRestoreRoute, 'otto', { id })).said?.done).toBe(false);
    expect((await send(e.services, confirmRestoreRoute, 'anna', typed)).said?.done).toBe(true);
    expect(await left(e.db, 'pictures')).toBe(2);
    expect((await send(e.services, confirmRestoreRoute, 'anna', typed)).said).toMatchObject({ done: false });
    expect((await restores(e.services)).entries).toMatchObject([{ id, state: 'done', confirmed_by: 'anna' }]);
  });

  it('is not confirmed by who asked, and can be withdrawn once', async () => {
    const id = await ask('maria');
    expect((await send(e.services, confirmRestoreRoute, 'maria', { id, reason: 'me' })).said).toMatchObject({
      done: false,
      text: expect.stringContaining('another operator'),
    });
    await refusesStrangers(e.services, e.db, withdrawRestoreRoute, { id, reason: 'x' });
    expect(
      (await send(e.services, withdrawRestoreRoute, 'otto', { id, reason: 'by mistake' })).said?.done,
    ).toBe(true);
    expect(
      (await send(e.services, withdrawRestoreRoute, 'otto', { id, reason: 'by mistake' })).said?.done,
    ).toBe(false);
    expect(await left(e.db, 'pictures')).toBe(0);
  });
});

it('archives are found by organization, by key and by policy, and what is none is found nowhere', async () => {
  const found = async (search: object) => (await archives(e.services, search)).entries.length;
  expect(await found({ organization: ORG })).toBe(1);
  expect(await found({ key: ids[0] })).toBe(1);
  expect(await found({ policy: 'pictures' })).toBe(1);
  expect(await found({ policy: 'others' })).toBe(0);
  expect(await found({ key: 'x' })).toBe(0);
});
