import { createHash } from 'node:crypto';
import { EncryptJWT } from 'jose';
import { expect, it } from 'vitest';
import { keyFor, SESSION_SECONDS, type SessionSettings, signIn, whoHas } from '@/lib/http/console/session';
import { operatorList } from '@/lib/platform/settings/operators';
import { NOW } from '@/test/support/engine';

const TOKEN = 'alice-token-0123456789';
const hash = (token: string) => createHash('sha256').update(token).digest('hex');
const settings = (operators: string): SessionSettings => ({
  operators: operatorList.parse(operators),
  sessionSecret: 'a-session-secret-of-the-tests-0123456789',
});
const alice = settings(`alice:auditor:${hash(TOKEN)}`);
const later = (seconds: number) => new Date(NOW.getTime() + seconds * 1000);

it('a session names its operator, with the role of the environment and the token for the database', async () => {
  const cookie = await signIn(TOKEN, alice, NOW);
  const who = await whoHas(cookie!, alice, later(60));
  expect(who).toMatchObject({ name: 'alice', roles: ['auditor'], token: TOKEN });
  expect([who?.may('audit'), who?.may('stop')]).toEqual([true, false]);
  expect(cookie).not.toContain(TOKEN);
  expect(Buffer.from(cookie!.split('.')[3]!, 'base64url').toString('latin1')).not.toContain('alice');
});

it('no session begins with a token that no operator has, or without a secret', async () => {
  expect(await signIn('another-token-0123456789', alice, NOW)).toBeNull();
  expect(await signIn(hash(TOKEN), alice, NOW)).toBeNull();
  expect(await signIn(TOKEN, { ...alice, sessionSecret: undefined }, NOW)).toBeNull();
});

it('a role that was changed in the environment counts at the next request', async () => {
  const cookie = await signIn(TOKEN, alice, NOW);
  const who = await whoHas(cookie!, settings(`alice:viewer:${hash(TOKEN)}`), NOW);
  expect(who?.roles).toEqual(['viewer']);
});

it('a token that was removed from the environment ends its session, also when its name is still there', async () => {
  const cookie = await signIn(TOKEN, alice, NOW);
  expect(await whoHas(cookie!, settings(''), NOW)).toBeNull();
  expect(await whoHas(cookie!, settings(`alice:${hash('the-next-token-of-alice')}`), NOW)).toBeNull();
  expect(await whoHas(cookie!, settings(`bob:${hash(TOKEN)}`), NOW)).toBeNull();
});

it('a session ends after eight hours', async () => {
  const cookie = await signIn(TOKEN, alice, NOW);
  expect(await whoHas(cookie!, alice, later(SESSION_SECONDS - 1))).not.toBeNull();
  expect(await whoHas(cookie!, alice, later(SESSION_SECONDS))).toBeNull();
});

it('a cookie that was changed, cut, sealed with another secret or for another purpose is nobody', async () => {
  const cookie = (await signIn(TOKEN, alice, NOW))!;
  const flipped = cookie.slice(0, -2) + (cookie.at(-2) === 'A' ? 'B' : 'A') + cookie.at(-1);
  const elsewhere = { ...alice, sessionSecret: 'another-session-secret-0123456789abcd' };
  const sealed = (key: Uint8Array, alg: 'dir' = 'dir') =>
    new EncryptJWT({ name: 'alice', token: TOKEN, of: hash(TOKEN).slice(0, 16) })
      .setProtectedHeader({ alg, enc: 'A256GCM' })
      .setIssuer('lapse')
      .setAudience('lapse:console')
      .setExpirationTime(later(600))
      .encrypt(key);
  const forged = [
    flipped,
    cookie.slice(0, 40),
    '',
    'a.b.c.d.e',
    (await signIn(TOKEN, elsewhere, NOW))!,
    await sealed(keyFor(alice.sessionSecret!, 'said')),
  ];
  for (const value of forged) expect(await whoHas(value, alice, NOW)).toBeNull();
  // The same claims under the right key are somebody: each refusal above is for its own reason.
  expect(await whoHas(await sealed(keyFor(alice.sessionSecret!, 'session')), alice, NOW)).not.toBeNull();
});
