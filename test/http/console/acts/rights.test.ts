import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { certificateRoute } from '@/lib/http/console/certificate';
import { erasures, exportRows } from '@/lib/http/console/lists';
import { erasureOf, numberOf, seeErasure } from '@/lib/http/console/right';
import {
  confirmErasureRoute,
  linkExportRoute,
  requestErasureRoute,
  requestExportRoute,
  withdrawErasureRoute,
  withdrawExportRoute,
} from '@/lib/http/console/right-acts';
import { CONSOLE_ENV, cookieOf, form, ORIGIN } from '@/test/support/console';
import { bound, chain, refusesStrangers, send } from '@/test/support/deciding';
import { left } from '@/test/support/engine';
import { type Files, files, suffixed } from '@/test/support/files';
import { LINKS } from '@/test/support/links';

const signingKey = (): string =>
  generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');

let f: Files;
let org: string;
let user: string;
beforeEach(async () => {
  f = await files({
    env: {
      ...CONSOLE_ENV,
      ...LINKS,
      LAPSE_RIGHTS_KEY: '5a'.repeat(32),
      LAPSE_AUDIT_SIGNING_KEY: signingKey(),
    },
  });
  [org, user] = [randomUUID(), randomUUID()];
  await f.rows([
    { age: 1, file: suffixed(1), org, person: user },
    { age: 400, file: null, org, person: user },
    { age: 1, file: suffixed(2), org, person: randomUUID() },
  ]);
  await f.upload(suffixed(1), suffixed(2));
  f.pass(5);
  await bound(f.db);
});
afterEach(() => f.stop());

const by = { actor: 'otto', correlationId: 'test' };
const ofUser = { scope: 'user', subject: '' };
const asked = async (more = {}) => {
  const { digest } = await seeErasure(f.services, { scope: 'user', id: user }, by);
  return { ...ofUser, subject: user, digest, confirm: numberOf(digest), reason: 'request 12', ...more };
};

describe('erasing a person', () => {
  it('shows what would go in each table, erases exactly that at once, and leaves a receipt and a certificate', async () => {
    const { result } = await seeErasure(f.services, { scope: 'user', id: user }, by);
    expect(result).toMatchObject({ mode: 'dry_run', deleted: 2 });
    expect(await left(f.db, 'pictures')).toBe(3);
    const answer = await send(f.services, requestErasureRoute, 'otto', await asked());
    expect(answer.said?.done).toBe(true);
    expect(answer.path).toMatch(/^\/erasures\/[0-9a-f-]{36}$/);
    expect(await left(f.db, 'pictures')).toBe(1);
    const request = await erasureOf(f.services, answer.path.split('/').at(-1)!);
    expect(request).toMatchObject({ requested_by: 'otto', subject: user });
    expect(request.policies).toMatchObject([{ policy: 'pictures', action: 'delete', deleted: 2 }]);
    expect(request.history[0]).toMatchObject({
      by: 'otto',
      action: 'erasure.requested',
      reason: 'request 12',
    });
    expect((await chain(f.db))[0]).toBe('erasure.requested otto');
  });

  it('sent twice it is one request', async () => {
    const typed = await asked();
    await send(f.services, requestErasureRoute, 'otto', typed);
    const again = await send(f.services, requestErasureRoute, 'otto', typed);
    expect(again.said?.done).toBe(false);
    expect(await left(f.db, 'retention.erasure')).toBe(1);
  });

  it('a look that is not true any more is refused with what it would do now', async () => {
    const typed = await asked();
    await f.rows([{ age: 2, file: null, org, person: user }]);
    const answer = await send(f.services, requestErasureRoute, 'otto', typed);
    expect(answer.said).toMatchObject({ done: false, text: expect.stringContaining('delete 3 rows') });
    expect(await left(f.db, 'retention.erasure')).toBe(0);
  });

  it.each([
    ['another number', { confirm: '12345678' }, 'confirm'],
    ['no reason', { reason: '' }, 'reason'],
    ['nobody', { subject: '' }, 'subject'],
  ])('%s is refused at its field, with what was typed', async (_, wrong, field) => {
    const answer = await send(f.services, requestErasureRoute, 'otto', await asked(wrong));
    expect(answer).toMatchObject({ path: '/erasures/new', said: { done: false, field, typed: wrong } });
    expect(await left(f.db, 'retention.erasure')).toBe(0);
  });

  it('is for who operates, on this site', async () => {
    await refusesStrangers(f.services, f.db, requestErasureRoute, await asked());
    expect(
      (await requestErasureRoute(() => f.services).POST(await form(f.services, 'anna', await asked())))
        .status,
    ).toBe(403);
    expect(await left(f.db, 'pictures')).toBe(3);
  });
});

describe('erasing an organization', () => {
  const ask = async (who: 'otto' | 'maria' = 'otto'): Promise<string> => {
    const { digest } = await seeErasure(f.services, { scope: 'organization', id: org }, by);
    const typed = {
      scope: 'organization',
      subject: org,
      digest,
      confirm: numberOf(digest),
      reason: 'closed',
    };
    const answer = await send(f.services, requestErasureRoute, who, typed);
    expect(answer.said?.text).toContain('nothing was erased yet');
    return answer.path.split('/').at(-1)!;
  };
  const confirm = (id: string, more = {}) => ({ id, confirm: numberOf(id), reason: 'checked', ...more });

  it('waits for a second person, who types its number; then everything goes', async () => {
    const id = await ask();
    expect((await erasures(f.services, { settled: false })).entries).toMatchObject([
      { id, state: 'requested' },
    ]);
    const wrong = await send(f.services, confirmErasureRoute, 'anna', confirm(id, { confirm: id }));
    expect(wrong.said).toMatchObject({ done: false, field: 'confirm' });
    await refusesStrangers(f.services, f.db, confirmErasureRoute, confirm(id));
    expect(
      (await confirmErasureRoute(() => f.services).POST(await form(f.services, 'otto', confirm(id)))).status,
    ).toBe(403);
    expect(await left(f.db, 'pictures')).toBe(3);
    expect((await send(f.services, confirmErasureRoute, 'anna', confirm(id))).said?.done).toBe(true);
    expect(await left(f.db, 'pictures')).toBe(0);
    const again = await send(f.services, confirmErasureRoute, 'anna', confirm(id));
    expect(again.said?.text).toMatch(/This request is (open|done|confirmed) already/);
    expect((await chain(f.db)).filter((x) => /requested|confirmed/.test(x))).toEqual([
      'erasure.requested otto',
      'erasure.confirmed anna',
    ]);
  });

  it('is not confirmed by who asked for it, and can be withdrawn once', async () => {
    const id = await ask('maria');
    const own = await send(f.services, confirmErasureRoute, 'maria', confirm(id));
    expect(own.said).toMatchObject({ done: false, text: expect.stringContaining('another operator') });
    const back = { id, reason: 'by mistake' };
    await refusesStrangers(f.services, f.db, withdrawErasureRoute, back);
    expect((await send(f.services, withdrawErasureRoute, 'otto', back)).said?.done).toBe(true);
    expect((await send(f.services, withdrawErasureRoute, 'otto', back)).said?.text).toContain(
      'withdrawn already',
    );
    expect(await left(f.db, 'pictures')).toBe(3);
    expect((await erasures(f.services, { settled: true })).entries).toMatchObject([
      { id, state: 'withdrawn' },
    ]);
  });
});

describe('its certificate', () => {
  const get = async (id: string, who: 'audra' | 'vera' | null) =>
    certificateRoute(() => f.services)(
      new Request(`${ORIGIN}/erasures/${id}/certificate`, {
        headers: who ? { cookie: await cookieOf(f.services, who) } : {},
      }),
    );

  it('is downloaded when it is done, by who may read single records', async () => {
    const answer = await send(f.services, requestErasureRoute, 'otto', await asked());
    const id = answer.path.split('/').at(-1)!;
    const whole = await seeErasure(f.services, { scope: 'organization', id: org }, by);
    const waits = await send(f.services, requestErasureRoute, 'otto', {
      ...{ scope: 'organization', subject: org, digest: whole.digest },
      ...{ confirm: numberOf(whole.digest), reason: 'closed' },
    });
    expect((await get(waits.path.split('/').at(-1)!, 'audra')).status).toBe(409);
    const file = await get(id, 'audra');
    expect(file.status).toBe(200);
    expect(file.headers.get('content-disposition')).toContain(`erasure-${numberOf(id)}.json`);
    expect(await file.json()).toMatchObject({
      text: expect.stringContaining(id),
      signature: expect.any(String),
    });
    expect((await get(id, 'vera')).status).toBe(403);
    expect((await get(id, null)).headers.get('location')).toContain('/sign-in');
    expect((await get(randomUUID(), 'audra')).status).toBe(404);
  });
});

describe('a copy for a person', () => {
  const copy = () => ({ scope: 'user', subject: user, reason: 'request 13' });

  it('is made once, with a link that is told to who asked and stands in no list', async () => {
    const answer = await send(f.services, requestExportRoute, 'otto', copy());
    expect(answer).toMatchObject({ path: '/exports', said: { done: true } });
    expect(answer.said!.text).toContain('https://lapse.test/api/exports/download?link=');
    const { entries } = await exportRows(f.services);
    expect(entries).toMatchObject([{ state: 'written', requested_by: 'otto', rows: 2 }]);
    expect(JSON.stringify(entries)).not.toContain('link=');
    const { id } = entries[0]!;
    const linked = await send(f.services, linkExportRoute, 'otto', { id, reason: 'it broke off' });
    expect(linked.said?.text).toContain('?link=');
    await refusesStrangers(f.services, f.db, linkExportRoute, { id, reason: 'x' });
    await refusesStrangers(f.services, f.db, withdrawExportRoute, { id, reason: 'x' });
    expect(
      (await send(f.services, withdrawExportRoute, 'otto', { id, reason: 'wrong person' })).said?.done,
    ).toBe(true);
    expect(
      (await send(f.services, withdrawExportRoute, 'otto', { id, reason: 'wrong person' })).said?.done,
    ).toBe(false);
    expect((await send(f.services, linkExportRoute, 'otto', { id, reason: 'again' })).said?.done).toBe(false);
  });

  it('is for who operates, on this site, with a reason', async () => {
    await refusesStrangers(f.services, f.db, requestExportRoute, copy());
    const answer = await send(f.services, requestExportRoute, 'otto', { ...copy(), reason: '' });
    expect(answer).toMatchObject({
      path: '/exports/new',
      said: { done: false, field: 'reason', typed: { subject: user } },
    });
    expect(await left(f.db, 'retention.export')).toBe(0);
  });
});
