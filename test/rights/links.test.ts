import { hkdfSync, randomUUID } from 'node:crypto';
import { decodeJwt, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { linkRoute } from '@/lib/http/link-route';
import { trimOwnRecords } from '@/lib/operators/records/trim';
import { askOne } from '@/lib/platform/session';
import { type Link, LinkError, linkTo, readLink, refuseUsed, signLink, useLink } from '@/lib/rights/links';
import { DAY, databaseClock, type Engine, engine, NOW } from '../support/engine';
import { LINKS } from '../support/links';

let e: Engine;
beforeAll(async () => {
  e = await engine({ env: LINKS });
  await databaseClock(e.db, NOW);
});
afterAll(() => e.stop());

const settings = () => e.services.settings.links!;
const in10Days = new Date(NOW.getTime() + 10 * DAY * 1000);
const link = (changes: Partial<Link> = {}): Link => ({
  id: randomUUID(),
  purpose: 'notice.extend',
  subject: { scope: 'organization', id: 'acme' },
  about: { policy: 'things', sha256: 'ab' },
  expiresAt: in10Days,
  ...changes,
});
const refusal = (found: Promise<unknown>): Promise<string> =>
  found.then(
    () => 'accepted',
    (error) => (error instanceof LinkError ? error.code : String(error)),
  );

describe('a signed link', () => {
  it('says exactly what was signed', async () => {
    const one = link();
    const token = await signLink(settings(), one);
    expect(await readLink(settings(), token, 'notice.extend', NOW)).toEqual(one);
  });

  it('is refused with any letter of it changed, added or missing', async () => {
    const token = await signLink(settings(), link());
    // The last letter of a part holds spare bits that say nothing.
    const places = [...token].flatMap((c, i) => (c === '.' || i % 7 !== 3 ? [] : [i]));
    const changed = [
      ...places.map((i) => `${token.slice(0, i)}${token[i] === 'A' ? 'B' : 'A'}${token.slice(i + 1)}`),
      ...places.map((i) => token.slice(0, i) + token.slice(i + 1)),
      `${token}A`,
      '',
      'x'.repeat(5_000),
    ];
    for (const text of changed)
      expect(await refusal(readLink(settings(), text, 'notice.extend', NOW))).toBe('link_invalid');
  });

  it('is refused for another purpose, under another key, and without a signature', async () => {
    const one = link();
    const token = await signLink(settings(), one);
    expect(await refusal(readLink(settings(), token, 'notice.download', NOW))).toBe('link_invalid');
    const other = { ...settings(), keys: ['f'.repeat(64)] };
    expect(await refusal(readLink(other, token, 'notice.extend', NOW))).toBe('link_invalid');
    const [, payload] = token.split('.');
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
    expect(await refusal(readLink(settings(), unsigned, 'notice.extend', NOW))).toBe('link_invalid');
  });

  it('is refused when the key itself signed it, as it may sign other things, or when it does not say until when', async () => {
    const key = new Uint8Array(Buffer.from(settings().keys[0]!, 'hex'));
    const token = await signLink(settings(), link());
    const claims = decodeJwt(token);
    const signed = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(key);
    expect(await refusal(readLink(settings(), signed, 'notice.extend', NOW))).toBe('link_invalid');
    const derived = new Uint8Array(hkdfSync('sha256', key, '', 'lapse.links', 32));
    const { exp: _, ...endless } = claims;
    const forever = await new SignJWT(endless).setProtectedHeader({ alg: 'HS256' }).sign(derived);
    expect(await refusal(readLink(settings(), forever, 'notice.extend', NOW))).toBe('link_invalid');
    const { about: __, ...unbound } = claims;
    const bare = await new SignJWT(unbound).setProtectedHeader({ alg: 'HS256' }).sign(derived);
    expect(await refusal(readLink(settings(), bare, 'notice.extend', NOW))).toBe('link_invalid');
    const again = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(derived);
    expect(await refusal(readLink(settings(), again, 'notice.extend', NOW))).toBe('accepted');
  });

  it('is refused from the second on in which it expires', async () => {
    const token = await signLink(settings(), link());
    const before = new Date(in10Days.getTime() - 1_000);
    expect(await refusal(readLink(settings(), token, 'notice.extend', before))).toBe('accepted');
    expect(await refusal(readLink(settings(), token, 'notice.extend', in10Days))).toBe('link_expired');
  });

  it('counts under the key before while that is being changed', async () => {
    const before = settings();
    const next = { ...before, keys: ['c'.repeat(64), ...before.keys] };
    const token = await signLink(before, link());
    expect(await refusal(readLink(next, token, 'notice.extend', NOW))).toBe('accepted');
    expect(await refusal(readLink(before, await signLink(next, link()), 'notice.extend', NOW))).toBe(
      'link_invalid',
    );
  });

  it('carries no name and no address: ids and digests only', async () => {
    const [, payload] = (await signLink(settings(), link())).split('.');
    expect(Object.keys(JSON.parse(Buffer.from(payload!, 'base64url').toString())).sort()).toEqual([
      'about',
      'aud',
      'exp',
      'iss',
      'jti',
      'scope',
      'sub',
    ]);
  });
});

describe('using a link', () => {
  const use = (one: Link) => askOne(e.services.database, useLink(one), { statementMs: 5_000 });

  it('works once, whoever comes at the same time', async () => {
    const one = link();
    const answers = await Promise.all(Array.from({ length: 5 }, () => use(one)));
    expect(answers.filter((a) => a === null)).toHaveLength(1);
    expect(answers.filter((a) => a === 'used')).toHaveLength(4);
  });

  it('does nothing behind its time by the database’s clock, whatever the caller’s says', async () => {
    expect(await use(link({ expiresAt: NOW }))).toBe('expired');
    expect(await e.db.sql(`select 1 from retention.link_use where expires_at <= $1`, [NOW])).toEqual([]);
    expect(await refusal((async () => refuseUsed('expired'))())).toBe('link_expired');
  });

  it('is forgotten once the link has expired, and does nothing even then', async () => {
    const one = link();
    await use(one);
    const request = {
      correlationId: '',
      dryRun: false,
      trigger: 'cron' as const,
      deadline: new Date(NOW.getTime() + 240_000),
    };
    await databaseClock(e.db, new Date(in10Days.getTime() + 29 * DAY * 1000));
    expect((await trimOwnRecords(e.services, request)).trimmed.link_uses).toBeUndefined();
    await databaseClock(e.db, new Date(in10Days.getTime() + 31 * DAY * 1000));
    expect((await trimOwnRecords(e.services, request)).trimmed.link_uses).toBe(2);
    expect(await use(one)).toBe('expired');
    await databaseClock(e.db, NOW);
  });
});

describe('the route of a link', () => {
  const done: string[] = [];
  const route = linkRoute(
    'notices',
    {
      purpose: 'notice.extend',
      show: async (_, { subject }) => ({
        title: `For <${subject.id}>`,
        text: ['What happens.'],
        button: 'Do it',
      }),
      act: async (s, one) => {
        refuseUsed(await askOne(s.database, useLink(one), { statementMs: 5_000 }));
        done.push(one.id);
        return { title: 'Done', text: [] };
      },
    },
    () => e.services,
  );
  const call = async (method: 'GET' | 'POST', address: string) => {
    const answer = await route[method](new Request(address, { method }));
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };
  const address = (one: Link) => linkTo(settings(), '/api/notices/extend', one);

  it('shows what would happen and changes nothing, however often it is followed', async () => {
    const one = link({ subject: { scope: 'organization', id: 'a&b' } });
    for (let i = 0; i < 3; i++) {
      const { status, text } = await call('GET', await address(one));
      expect(status).toBe(200);
      expect(text).toContain('<h1>For &lt;a&amp;b&gt;</h1>');
      expect(text).toContain('<form method="post"><button>Do it</button></form>');
    }
    expect(done).not.toContain(one.id);
    expect(await e.db.sql('select 1 from retention.link_use where id = $1', [one.id])).toEqual([]);
  });

  it('runs no script, loads nothing and is stored nowhere', async () => {
    const { headers, text } = await call('GET', await address(link()));
    const policy = headers.get('content-security-policy')!;
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/=]+'; form-action 'self'/);
    expect(policy).not.toContain('unsafe');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(text).not.toContain('<script');
  });

  it('acts on the first POST and on no other', async () => {
    const one = link();
    expect((await call('POST', await address(one))).status).toBe(200);
    const again = await call('POST', await address(one));
    expect(again.status).toBe(410);
    expect(again.text).toContain('This link has been used already.');
    expect(done.filter((id) => id === one.id)).toHaveLength(1);
  });

  it('answers a link that is tampered with, expired or missing with a page, and does nothing', async () => {
    const before = done.length;
    const good = await address(link());
    const [of, token] = good.split('=');
    expect((await call('POST', `${of}=${token!.replace(/.$/, '')}`)).status).toBe(404);
    expect((await call('POST', `${settings().url}/api/notices/extend`)).status).toBe(404);
    expect((await call('POST', await address(link({ expiresAt: NOW })))).status).toBe(410);
    expect((await call('POST', await address(link({ purpose: 'notice.download' })))).status).toBe(404);
    expect(done).toHaveLength(before);
  });

  it('leaves a failure of its own to be reported as one, without a word of it', async () => {
    const show = async () => {
      throw new Error('a secret');
    };
    const failing = linkRoute('notices', { purpose: 'notice.extend', show, act: show }, () => e.services);
    const answer = await failing.GET(new Request(await address(link())));
    expect([answer.status, await answer.text()]).toEqual([500, expect.not.stringContaining('secret')]);
    expect(answer.headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'");
  });

  it('accepts none where links are not set up', async () => {
    const bare = { ...e.services, settings: { ...e.services.settings, links: undefined } };
    const closed = linkRoute(
      'notices',
      {
        purpose: 'notice.extend',
        show: async () => ({ title: '', text: [] }),
        act: async () => ({ title: '', text: [] }),
      },
      () => bare,
    );
    expect((await closed.GET(new Request(await address(link())))).status).toBe(404);
  });

  it('is asked for no more than a person would', async () => {
    const one = await address(link());
    const all = [];
    for (let i = 0; i < 22; i++) all.push((await call('GET', one)).status);
    expect(all.slice(0, 20).every((s) => s === 200)).toBe(true);
    expect(all.at(-1)).toBe(429);
  });
});
