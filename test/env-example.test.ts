import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { SETTING_NAMES } from '@/lib/platform/settings';
import { periodVariables } from '@/lib/policies';

const example = readFileSync('.env.example', 'utf8');

it('.env.example names every setting', () => {
  const names = [...SETTING_NAMES, ...periodVariables().keys()];
  expect(names.filter((n) => !new RegExp(`\\b${n}\\b`).test(example))).toEqual([]);
});

it('.env.example shows the periods that count without it', () => {
  for (const [name, period] of periodVariables()) {
    const days = period.seconds === null ? -1 : period.seconds / 86_400;
    expect(example).toContain(`# ${name}=${days}\n`);
  }
});
