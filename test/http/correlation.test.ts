import { expect, it } from 'vitest';
import { correlationOf } from '@/lib/http/correlation';

const UUID = '0b1c7a52-7f0e-4c8e-9f4e-2a1d3c5b7e90';
const of = (headers: Record<string, string>) =>
  correlationOf(new Request('https://lapse.test/', { headers }));

it('is the caller’s own where it is a UUID', () => {
  expect(of({ 'x-correlation-id': UUID })).toBe(UUID);
  expect(of({ 'x-correlation-id': UUID.toUpperCase() })).toBe(UUID);
});

it('is Vercel’s own id otherwise', () => {
  const id = 'fra1::iad1::x7k2p-1700000000000-0f1e2d3c4b5a';
  expect(of({ 'x-vercel-id': id })).toBe(id);
  expect(of({ 'x-vercel-id': id, 'x-correlation-id': 'mine' })).toBe(id);
});

it.each(['run-7', 'a'.repeat(36), `${UUID}x`, 'cron', 'fra1::me', '{"a":1}', ''])(
  'is a new one for “%s”: nobody’s text poses as another request’s',
  (text) => {
    const id = of({ 'x-correlation-id': text, 'x-vercel-id': text });
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  },
);
