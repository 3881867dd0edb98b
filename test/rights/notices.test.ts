import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Mail, type Mailbox, mailbox } from '@/lib/dev/mailbox';
import type { RunResult } from '@/lib/engine/run/result';
import { runPolicy } from '@/lib/engine/run/run';
import { downloadRoute, extendRoute, unsubscribeRoute } from '@/lib/http/notice-routes';
import { compareWithEntries } from '@/lib/operators/audit/in-force';
import type { Policy } from '@/lib/policies/contract';
import { missingForNotices } from '@/lib/policies/notice';
import { wordsIn } from '@/lib/rights/notices/compose';
import { type NoticesResult, sendNotices } from '@/lib/rights/notices/job';
import type { Services } from '@/lib/services';
import { DAY, databaseClock, type Engine, engine, left, runRequest } from '../support/engine';
import { LINKS } from '../support/links';
import { noticed, ORGS, ofOrganization, organizations } from '../support/notices';

let box: Mailbox;
let e: Engine;
beforeAll(async () => {
  box = await mailbox();
});
afterAll(() => box.close());
beforeEach(async () => {
  box.mails.length = 0;
  box.behave('take');
  e = await engine({ env: { ...LINKS, NOTICE_SMTP_URL: box.url, NOTICE_FROM: 'lapse@example.com' } });
  await organizations(e.db);
  await at(0);
});
afterEach(() => e.stop());

let services: Services;
/** The day, by both clocks: the middle of it, when the job comes. */
async function at(days: number, policies: readonly Policy[] = [noticed()], hours = 6): Promise<Date> {
  const now = new Date(Date.parse('2026-03-01T00:00:00Z') + (days * DAY + hours * 3_600) * 1000);
  await databaseClock(e.db, now);
  services = { ...e.services, clock: () => now, policies };
  return now;
}
const send = (changes: object = {}): Promise<NoticesResult> =>
  sendNotices(services, {
    correlationId: '',
    dryRun: false,
    trigger: 'cron',
    deadline: new Date(services.clock().getTime() + 240_000),
    ...changes,
  });
const run = (): Promise<RunResult> =>
  runPolicy(services, services.policies[0]!, runRequest(services.clock()));
/** Ages in days at the first midnight. */
const ages = (org: keyof typeof ORGS, ...of: number[]) =>
  ofOrganization(e.db, org, of, new Date('2026-03-01T00:00:00Z'));

const linkIn = (mail: Mail, path: string): string =>
  new RegExp(`https://lapse\\.test/api/notices/${path}\\?link=[\\w.-]+`).exec(mail.text)![0];
const ROUTES = { download: downloadRoute, extend: extendRoute, unsubscribe: unsubscribeRoute };
const follow = (method: 'GET' | 'POST', link: string): Promise<Response> => {
  const path = /notices\/(\w+)/.exec(link)![1] as keyof typeof ROUTES;
  return ROUTES[path](() => services)[method](new Request(link, { method }));
};

describe('the messages', () => {
  it('go to each organization once for each threshold, with all that comes due', async () => {
    // Due in 8.5, 2.5, 1.5 and 20 days.
    await ages('acme', 21.5, 27.5, 28.5, 10);
    await ages('bolt', 10);
    expect(await send()).toMatchObject({ outcome: 'succeeded', notices: { due: 1, delivered: 1 } });
    expect(box.mails.map((m) => m.to)).toEqual(['acme@example.com']);
    // The nearest threshold names the two nearest, the other the rest: no row is named twice.
    expect(box.mails[0]!.text.match(/\d+ items? will be deleted/g)).toEqual([
      '2 items will be deleted',
      '1 item will be deleted',
    ]);
    await send();
    await at(0, undefined, 20);
    await send();
    expect(box.mails).toHaveLength(1);
  });

  it('come again at the nearer threshold, and tell of nothing that was told at it before', async () => {
    await ages('acme', 21.5);
    const days: number[] = [];
    for (let day = 0; day < 12; day++) {
      await at(day);
      await send();
      if (box.mails.length > days.length) days.push(day);
    }
    // Due on day 8: seven days before on day 0, one day before on day 6, each with a whole day to spare.
    expect(days).toEqual([0, 6]);
  });

  it('are plain words in the recipient’s zone, as text and as HTML, and name no picture', async () => {
    await ages('acme', 28.5);
    await ages('bolt', 28.5);
    await send();
    const [acme, bolt] = [
      box.mails.find((m) => m.to.startsWith('acme'))!,
      box.mails.find((m) => m.to.startsWith('bolt'))!,
    ];
    // Delivered on the first day and required seven whole days before.
    expect(acme.text).toContain('1 item will be deleted from 9 March 2026 at 01:00 on.');
    expect(acme.text).toContain('Times are given in the zone Europe/Vienna.');
    expect(acme.text).toContain(
      'Keep until 3 April 2026 at 02:00: https://lapse.test/api/notices/extend?link=',
    );
    expect(bolt.text).toContain('1 item will be deleted from 9 March 2026 at 00:00 on.');
    expect(acme.headers.subject).toBe('Data of your organization will be deleted from 9 March 2026 on');
    const words = (text: string) => text.replace(/<[^>]*>|&\w+;|\s+/g, ' ');
    expect(words(acme.html)).toContain('1 item will be deleted from 9 March 2026 at 01:00 on.');
    expect(acme.html).not.toMatch(/<img|<script|src=/);
    expect(acme.headers).toMatchObject({
      'list-unsubscribe-post': 'List-Unsubscribe=One-Click',
      'auto-submitted': 'auto-generated',
    });
    expect(acme.headers['list-unsubscribe']).toBe(`<${linkIn(acme, 'unsubscribe')}>`);
  });

  it.each([
    ['Europe/Berlin', '2026-10-25T00:30Z', '25 October 2026 at 02:30 (GMT+2)'],
    ['Europe/Berlin', '2026-10-25T01:30Z', '25 October 2026 at 02:30 (GMT+1)'],
    ['Europe/Berlin', '2026-10-25T02:30Z', '25 October 2026 at 03:30'],
    ['Europe/Berlin', '2026-03-29T01:00Z', '29 March 2026 at 03:00'],
    ['America/New_York', '2026-11-01T05:30Z', '1 November 2026 at 01:30 (GMT-4)'],
    ['America/New_York', '2026-11-01T06:30Z', '1 November 2026 at 01:30 (GMT-5)'],
    ['Australia/Lord_Howe', '2026-04-04T14:45Z', '5 April 2026 at 01:45 (GMT+11)'],
    ['Australia/Lord_Howe', '2026-04-04T15:15Z', '5 April 2026 at 01:45 (GMT+10:30)'],
    ['Australia/Lord_Howe', '2026-04-04T14:00Z', '5 April 2026 at 01:00'],
    ['Asia/Kolkata', '2026-03-01T00:00Z', '1 March 2026 at 05:30'],
  ])('say in %s which one of an hour that comes twice: %s', (zone, at, words) => {
    expect(wordsIn(zone).instant(new Date(at))).toBe(words);
  });

  it('say what is kept for now, and what an unknown zone or a name with signs is', async () => {
    const [held] = await ages('acme', 28.5, 28.6);
    await e.db.sql(`select retention.place_hold('alice', 'court', 'item', $1, 'public.things')`, [held]);
    await e.db.sql(`update orgs set zone = 'Nowhere/Land'`);
    await at(0, [noticed({ notice: { ...noticed().notice!, called: 'things & <more>' } })]);
    await send();
    expect(box.mails[0]!.text).toContain('1 item will be deleted');
    expect(box.mails[0]!.text).toContain('1 more item as old are kept for now');
    expect(box.mails[0]!.text).toContain('zone UTC');
    expect(box.mails[0]!.html).toContain('things &amp; &lt;more&gt;');
  });

  it('are not sent for what a hold keeps alone, and speak of it once it is let go', async () => {
    await ages('acme', 28.5);
    await e.db.sql(`select retention.place_hold('alice', 'court', 'organization', $1, null)`, [ORGS.acme]);
    await send();
    expect(box.mails).toEqual([]);
    await e.db.sql(`select retention.release_hold('bob', 'over', id) from retention.hold`);
    await send();
    expect(box.mails).toHaveLength(1);
  });

  it('have one for all policies of an organization', async () => {
    await e.db.sql('create table others (like things including all); grant select on others to lapse_app');
    await e.db.sql('insert into others (org, at) select org, at from things');
    await ages('acme', 28.5);
    await e.db.sql('insert into others (org, at) select org, at from things');
    const other = noticed({
      name: 'others',
      table: { name: 'others' },
      notice: { thresholdsDays: [3], to: { address: 'mail' } },
    });
    await at(0, [noticed(), other]);
    await send();
    expect(box.mails).toHaveLength(1);
    expect(box.mails[0]!.text).toMatch(/things\n1 item[\s\S]*others\n1 item/);
    // The other policy declares nothing that would keep its rows.
    expect(box.mails[0]!.text.match(/Keep until/g)).toHaveLength(1);
  });

  it('count more than can be counted as such, and name files with their size', async () => {
    await e.db.sql(
      `insert into things (org, at) select $1, '2026-02-01'::timestamptz + make_interval(secs => i) from generate_series(1, 10001) i`,
      [ORGS.acme],
    );
    await send();
    expect(box.mails[0]!.text).toContain('More than 10,000 items will be deleted');
  });
});

it('a message names how many files go, and how large they are', async () => {
  await e.db.sql('alter table things add column file text, add column bytes bigint');
  await ages('acme', 28.5);
  await e.db.sql(`update things set file = 'things/a', bytes = 1540000`);
  await at(0, [noticed({ files: [{ column: 'file', bytes: 'bytes', fate: 'delete', prefix: 'things/' }] })]);
  await send();
  expect(box.mails[0]!.text).toContain('1 item with 1 file (1.5 MB) will be deleted');
});

it('nothing is told while a version that reaches other rows cools off', async () => {
  await ages('acme', 28.5);
  const settings = {
    ...services.settings,
    guards: { ...services.settings.guards, coolingOffSeconds: 7 * DAY },
  };
  const now = services.clock();
  await e.db.sql(
    `insert into retention.policy_version (policy, version, reach, periods, declared_by, declared_at, in_force_at, superseded_at, declaration)
     values ('things', 'before', 'another', '{"free": 2592000}', 'cron', $1, $1, $2, '{}')`,
    [new Date(now.getTime() - 30 * DAY * 1000), new Date(now.getTime() + 20 * DAY * 1000)],
  );
  services = { ...services, settings };
  expect(await send()).toMatchObject({ outcome: 'succeeded', notices: { due: 0 } });
  expect(box.mails).toEqual([]);
});

describe('claimed before sent', () => {
  it('two calls at once tell an organization once', async () => {
    await ages('acme', 28.5);
    await Promise.all([send(), send(), send()]);
    expect(box.mails).toHaveLength(1);
  });

  it('what was found before another call had told it is not told again', async () => {
    await ages('acme', 28.5);
    await send();
    const parts = await e.db.sql(
      `select policy, threshold_days, keep_seconds, since::text, before::text, found, digest, goes_at, keep_until from retention.notice_part`,
    );
    const claim = () =>
      e.db.sql(`select retention.claim_notice($1, repeat('b', 64), true, $2, 60) as id`, [
        ORGS.acme,
        JSON.stringify(parts),
      ]);
    expect(await claim()).toEqual([{ id: null }]);
    expect(await e.db.sql(`select count(*)::int as n from retention.notice`)).toEqual([{ n: 1 }]);
  });

  it('an answer that was lost counts as not delivered where a notice is required: it is sent again, with the same links', async () => {
    await ages('acme', 28.5);
    box.behave('lost');
    expect(await send()).toMatchObject({ outcome: 'errored', reason: 'smtp', notices: { undelivered: 1 } });
    expect(await e.db.sql('select state, sending from retention.notice')).toEqual([
      { state: 'open', sending: true },
    ]);
    box.behave('take');
    await send();
    expect(box.mails).toHaveLength(1);
    await at(0, undefined, 7);
    expect(await send()).toMatchObject({ outcome: 'succeeded', notices: { delivered: 1 } });
    expect(box.mails).toHaveLength(2);
    await follow('POST', linkIn(box.mails[1]!, 'unsubscribe'));
    expect((await follow('POST', linkIn(box.mails[0]!, 'unsubscribe'))).status).toBe(410);
  });

  it('where none is required it counts as told, and is not sent a second time', async () => {
    const { requiredDays: _, ...optional } = noticed().notice!;
    await at(0, [noticed({ notice: optional })]);
    await ages('acme', 28.5);
    box.behave('lost');
    await send();
    box.behave('take');
    await at(0, [noticed({ notice: optional })], 8);
    expect(await send()).toMatchObject({ notices: { due: 0, unsure: 1 } });
    expect(box.mails).toHaveLength(1);
    expect(await e.db.sql('select state from retention.notice')).toEqual([{ state: 'unsure' }]);
    expect(
      await e.db.sql('select delivered_at, announced_at is not null as announced from retention.notice_part'),
    ).toEqual([{ delivered_at: null, announced: true }]);
  });

  it.each(['lost', 'busy'] as const)(
    'a message at which the server breaks off keeps nobody else back: %s',
    async (how) => {
      await ages('acme', 28.5);
      await ages('bolt', 28.5);
      box.behave(how, 'acme@example.com');
      expect(await send()).toMatchObject({
        outcome: 'succeeded',
        notices: { delivered: 1, undelivered: 1, down: null },
      });
      expect(box.mails.filter((m) => m.to === 'bolt@example.com')).toHaveLength(1);
      expect(
        await e.db.sql('select delivered_at from retention.notice_part where delivered_at is null'),
      ).toHaveLength(1);
    },
  );

  it('who may have been told and breaks off each time is written to ever more rarely', async () => {
    await ages('acme', 28.5);
    box.behave('lost');
    for (let hour = 6; hour < 24; hour++) {
      await at(0, undefined, hour);
      await send();
    }
    // At 6, 7, 8, 9, 11, 15 and 23 o'clock, each time with the same links.
    expect(box.mails).toHaveLength(7);
    expect(await e.db.sql('select delivered_at from retention.notice_part')).toEqual([
      { delivered_at: null },
    ]);
  });

  it('a refusal is no delivery, and is tried again in the next hour', async () => {
    await ages('acme', 28.5);
    await ages('bolt', 28.5);
    box.behave('refuse');
    // Refused for this recipient: the others are still asked.
    expect(await send()).toMatchObject({
      outcome: 'succeeded',
      notices: { failed: 2, delivered: 0 },
      nextLook: services.clock(),
    });
    expect(await e.db.sql('select distinct state, sending, error from retention.notice')).toEqual([
      { state: 'open', sending: false, error: 'smtp.EENVELOPE.550' },
    ]);
    expect(await e.db.sql(`select cause from retention.incident where recovered_at is null`)).toEqual([
      { cause: 'notices.undelivered:lapse' },
    ]);
    box.behave('take');
    await at(0, undefined, 7);
    expect(await send()).toMatchObject({ notices: { delivered: 2 } });
    expect(await e.db.sql(`select cause from retention.incident where recovered_at is null`)).toEqual([]);
  });
});

describe('no delivery, no deletion', () => {
  it('three days without a mail server move the deletion by three days', async () => {
    await ages('acme', 20.5);
    const away = {
      ...e.services.settings,
      notices: { smtp: 'smtp://127.0.0.1:1', from: 'lapse@example.com' },
    };
    const gone: Record<string, number> = {};
    for (const outage of [0, 3]) {
      await e.db.sql('delete from things; delete from retention.notice');
      await ages('acme', 20.5);
      for (let day = 0; day < 20; day++) {
        await at(day);
        // Due on day 9, told on day 1.
        if (day >= 1 && day < 1 + outage) {
          services = { ...services, settings: away };
          expect(await send()).toMatchObject({ outcome: 'errored', reason: 'smtp' });
        } else await send();
        await at(day, undefined, 23);
        await run();
        if ((await left(e.db)) === 0) {
          gone[outage] = day;
          break;
        }
      }
    }
    expect(gone).toEqual({ 0: 9, 3: 12 });
  });

  it('an organization without a usable address keeps its rows, and someone is told', async () => {
    await ages('acme', 40);
    await e.db.sql(`update orgs set mail = 'no address' where id = $1`, [ORGS.acme]);
    for (let day = 0; day < 10; day++) {
      await at(day);
      expect(await send()).toMatchObject({ notices: { unaddressed: 1, delivered: 0 } });
    }
    expect(await run()).toMatchObject({ deleted: 0, kept: { unnoticed: 1 } });
    expect(
      await e.db.sql(`select severity from retention.incident where cause = 'notices.undelivered:lapse'`),
    ).toEqual([{ severity: 'warning' }]);
  });
});

describe('the links', () => {
  const tar = async (answer: Response) => {
    const { extract } = await import('tar-stream');
    const found: Record<string, string> = {};
    const into = extract();
    into.on('entry', (header, stream, next) => {
      const parts: Buffer[] = [];
      stream.on('data', (d: unknown) => parts.push(d as Buffer));
      stream.on('end', () => {
        found[header.name] = Buffer.concat(parts).toString();
        next();
      });
    });
    const done = new Promise<void>((ok, failed) => into.on('finish', ok).on('error', failed));
    into.end(Buffer.from(await answer.arrayBuffer()));
    await done;
    return found;
  };
  const told = async (): Promise<Mail> => {
    await send();
    return box.mails.at(-1)!;
  };

  it('keep exactly the rows of the message until its day, once, with an entry of the chain for each', async () => {
    const ids = await ages('acme', 28.5, 28.6);
    const [younger] = await ages('acme', 10);
    const link = linkIn(await told(), 'extend');
    const page = await follow('GET', link);
    expect(await page.text()).toContain('2 items of things will be kept until 3 April 2026 at 00:00 UTC');
    expect(await e.db.sql('select 1 from retention.extension')).toEqual([]);
    expect((await follow('POST', link)).status).toBe(200);
    const kept = await e.db.sql<{ row_key: string }>(
      `select row_key, keep_until, extended_by from retention.extension order by row_key`,
    );
    expect(kept.map((k) => k.row_key)).toEqual([...ids].sort());
    expect(kept.map((k) => k.row_key)).not.toContain(younger);
    expect(kept[0]).toMatchObject({
      keep_until: new Date('2026-04-03T00:00:00Z'),
      extended_by: expect.stringMatching(/^recipient:[0-9a-f-]{36}$/),
    });
    const entries = await e.db.sql<{ actor: string; action: string }>(
      `select actor, action from retention.audit_entry where action = 'extension.set'`,
    );
    expect(entries).toHaveLength(2);
    expect(JSON.stringify(await e.db.sql('select * from retention.audit_entry'))).not.toContain(
      'example.com',
    );
    const problems: string[] = [];
    const findings = { say: (_: unknown, __: unknown, message: string) => problems.push(message) };
    await compareWithEntries(e.services.database, findings as never, () => true);
    expect(problems).toEqual([]);
    expect((await follow('POST', link)).status).toBe(410);
  });

  it('keep nothing beyond the day that the policy allows, and cut short no longer extension of an operator’s', async () => {
    const [row, other] = await ages('acme', 28.5, 28.6);
    const link = linkIn(await told(), 'extend');
    await e.db.sql(`select retention.set_extension('alice', 'audit', 'public.things', $1, '2027-01-01', 0)`, [
      row,
    ]);
    expect((await follow('POST', link)).status).toBe(200);
    expect(
      await e.db.sql('select row_key, keep_until, extended_by from retention.extension order by keep_until'),
    ).toEqual([
      {
        row_key: other,
        keep_until: new Date('2026-04-03T00:00:00Z'),
        extended_by: expect.stringMatching(/^recipient:/),
      },
      { row_key: row, keep_until: new Date('2027-01-01T00:00:00Z'), extended_by: 'alice' },
    ]);
    expect(await e.db.sql(`select 1 from retention.audit_entry where action = 'extension.set'`)).toHaveLength(
      2,
    );
    // Followed again in a later message, the day stays that of the message.
    await at(50);
    expect(await run()).toMatchObject({ deleted: 1, kept: { extended: 1 } });
  });

  it('give a copy of exactly these rows, once, and say whether they are as announced', async () => {
    const ids = await ages('acme', 28.5, 28.6);
    await ages('acme', 10);
    await ages('bolt', 28.5);
    await send();
    const link = linkIn(box.mails.find((m) => m.to.startsWith('acme'))!, 'download');
    expect(await (await follow('GET', link)).text()).toContain('2 items of things');
    const answer = await follow('POST', link);
    expect(answer.headers.get('content-type')).toBe('application/x-tar');
    const found = await tar(answer);
    const rows = found['rows/public.things-00001.jsonl']!.trim()
      .split('\n')
      .map((l) => JSON.parse(l) as { id: string });
    expect(rows.map((r) => r.id).sort()).toEqual([...ids].sort());
    expect(JSON.parse(found['manifest.json']!)).toMatchObject({
      asAnnounced: true,
      organization: ORGS.acme,
      tables: { 'public.things': { rows: 2 } },
      files: [],
    });
    expect((await follow('POST', link)).status).toBe(410);
  });

  it('say of a copy that something has gone since', async () => {
    const [first] = await ages('acme', 28.5, 28.6);
    const link = linkIn(await told(), 'download');
    await e.db.sql('delete from things where id = $1', [first]);
    const found = await tar(await follow('POST', link));
    expect(JSON.parse(found['manifest.json']!)).toMatchObject({
      asAnnounced: false,
      tables: { 'public.things': { rows: 1 } },
    });
  });

  it('do nothing for a message that was followed by another one', async () => {
    await ages('acme', 28.5);
    box.behave('lost');
    await send();
    box.behave('take');
    const before = box.mails[0]!;
    await ages('acme', 28.4);
    await at(0, undefined, 8);
    await send();
    expect((await follow('POST', linkIn(before, 'extend'))).status).toBe(410);
    expect((await follow('GET', linkIn(before, 'download'))).status).toBe(410);
    expect(await e.db.sql('select 1 from retention.extension')).toEqual([]);
    expect((await follow('POST', linkIn(box.mails[1]!, 'extend'))).status).toBe(200);
  });

  it('do nothing when they are tampered with, have expired, or are for something else', async () => {
    await ages('acme', 28.5);
    const mail = await told();
    const link = linkIn(mail, 'extend');
    const changed = createHash('sha256').update(link).digest('hex').slice(0, 4);
    expect((await follow('POST', `${link.slice(0, -4)}${changed}`)).status).toBe(404);
    expect((await follow('POST', linkIn(mail, 'download').replace('download', 'extend'))).status).toBe(404);
    await at(60);
    expect((await follow('POST', link)).status).toBe(410);
    expect(
      await e.db.sql('select 1 from retention.extension union all select 1 from retention.link_use'),
    ).toEqual([]);
  });

  it('keep nothing where the policy lets nothing be kept', async () => {
    await ages('acme', 28.5);
    const link = linkIn(await told(), 'extend');
    await e.db.sql('update retention.notice_part set keep_until = null');
    expect((await follow('GET', link)).status).toBe(410);
    expect((await follow('POST', link)).status).toBe(410);
    expect(
      await e.db.sql('select 1 from retention.extension union all select 1 from retention.link_use'),
    ).toEqual([]);
  });

  it('refuse to keep more than one transaction should', async () => {
    await e.db.sql(
      `insert into things (org, at) select $1, '2026-02-01'::timestamptz + make_interval(secs => i) from generate_series(1, 2001) i`,
      [ORGS.acme],
    );
    const link = linkIn(await told(), 'extend');
    const page = await follow('GET', link);
    expect([page.status, await page.text()]).toEqual([
      409,
      expect.stringContaining('More than 2,000 items cannot be kept by a link'),
    ]);
    expect((await follow('POST', link)).status).toBe(409);
    expect(await e.db.sql('select 1 from retention.link_use')).toEqual([]);
  });

  it('unsubscribe in one click from what need not be sent, and never from what is required', async () => {
    const { requiredDays: _, ...optional } = noticed().notice!;
    await e.db.sql('create table others (like things including all); grant select on others to lapse_app');
    const other = noticed({ name: 'others', table: { name: 'others' }, notice: optional });
    await at(0, [noticed(), other]);
    await e.db.sql(`insert into others (org, at) values ($1, '2026-01-30')`, [ORGS.acme]);
    const mail = await told();
    expect(mail.text).toContain('others');
    const one = /<(.*)>/.exec(mail.headers['list-unsubscribe']!)![1]!;
    expect((await follow('GET', one)).status).toBe(200);
    expect(await e.db.sql('select 1 from retention.notice_stop')).toEqual([]);
    const answer = await unsubscribeRoute(() => services).POST(
      new Request(one, {
        method: 'POST',
        body: 'List-Unsubscribe=One-Click',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      }),
    );
    expect(answer.status).toBe(200);
    await e.db.sql(`insert into others (org, at) values ($1, '2026-02-08')`, [ORGS.acme]);
    await at(2, [noticed(), other]);
    await send();
    expect(box.mails).toHaveLength(1);
    await ages('acme', 28.5);
    await send();
    expect(box.mails[1]!.text).toContain('things\n1 item');
    expect(box.mails[1]!.text).not.toContain('others');
  });

  it('and records name no address', async () => {
    await ages('acme', 28.5);
    await follow('POST', linkIn(await told(), 'unsubscribe'));
    const all = await e.db.sql(
      'select (select jsonb_agg(n) from retention.notice n) as a, (select jsonb_agg(s) from retention.notice_stop s) as b',
    );
    expect(JSON.stringify(all)).not.toContain('example.com');
    const [, payload] = linkIn(box.mails[0]!, 'extend').split('=')[1]!.split('.');
    expect(Buffer.from(payload!, 'base64url').toString()).not.toContain('example.com');
  });
});

describe('the job', () => {
  it('has nothing to do, and asks nothing, where no policy declares a notice', async () => {
    const result = await sendNotices(
      { ...services, database: undefined as never, policies: [] },
      { correlationId: '', dryRun: false, trigger: 'cron', deadline: new Date() },
    );
    expect(result).toMatchObject({ outcome: 'succeeded', nextLook: null });
  });

  it('counts whom it would tell in a dry run, and tells no one', async () => {
    await ages('acme', 28.5);
    expect(await send({ dryRun: true })).toMatchObject({
      outcome: 'succeeded',
      message: 'dry run: 1 organizations would be told',
    });
    expect(box.mails).toEqual([]);
    expect(await e.db.sql('select 1 from retention.notice')).toEqual([]);
  });

  it('stops between two organizations when the time is up', async () => {
    await ages('acme', 28.5);
    await ages('bolt', 28.5);
    const start = services.clock().getTime();
    let asked = 0;
    // Enough time for the window, none any more for the first of its organizations.
    const clock = () => new Date(start + (box.mails.length > 0 || asked++ > 6 ? 300_000 : 0));
    services = { ...services, clock };
    expect(await send({ deadline: new Date(start + 60_000) })).toMatchObject({
      outcome: 'interrupted',
      reason: 'time',
    });
    expect(box.mails.length).toBeLessThan(2);
  });

  it('has nobody to tell where there is no organization', async () => {
    await e.db.sql('delete from orgs');
    expect(await send()).toMatchObject({ outcome: 'succeeded', notices: { due: 0 } });
  });

  it('says what is not set where it is asked to tell without it', async () => {
    services = { ...services, settings: { ...services.settings, links: undefined } };
    await expect(send()).rejects.toThrow('LAPSE_LINK_KEY and LAPSE_URL are required');
  });

  it('stops in time, and the next one continues', async () => {
    await ages('acme', 28.5);
    expect(await send({ deadline: new Date(services.clock().getTime() + 1_000) })).toMatchObject({
      outcome: 'interrupted',
      reason: 'time',
    });
    expect(await send()).toMatchObject({
      notices: { delivered: 1 },
      nextLook: new Date('2026-03-02T00:00:00Z'),
    });
  });

  it('reaches every organization, however many there are', async () => {
    await e.db.sql(
      `insert into orgs (mail) select 'org' || i || '@example.com' from generate_series(1, 250) i`,
    );
    await e.db.sql(`insert into things (org, at) select id, '2026-01-31' from orgs`);
    expect(await send()).toMatchObject({ notices: { delivered: 252 } });
    expect(new Set(box.mails.map((m) => m.to)).size).toBe(252);
  });

  it('does not start without what it sends with: each setting is named', () => {
    const settings = { notices: undefined, links: undefined };
    expect(missingForNotices([noticed()], settings)).toEqual([
      expect.stringContaining('NOTICE_SMTP_URL and NOTICE_FROM are required: things tells'),
      expect.stringContaining('LAPSE_LINK_KEY and LAPSE_URL are required'),
    ]);
    expect(missingForNotices([noticed({ notice: undefined })], settings)).toEqual([]);
    expect(missingForNotices([noticed()], e.services.settings)).toEqual([]);
  });
});
