import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

/** `--color-name: light-dark(#a, #b);` or one color for both. */
const COLORS = new Map(
  [
    ...readFileSync('app/style.css', 'utf8').matchAll(
      /--color-([a-z-]+): (?:light-dark\((#\w{6}), (#\w{6})\)|(#\w{6}));/g,
    ),
  ].map(([, name, light, dark, both]) => [name!, [light ?? both!, dark ?? both!]] as const),
);
const luminance = (hex: string): number => {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const c = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
};
const contrast = (a: string, b: string): number => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high! + 0.05) / (low! + 0.05);
};
const worst = (front: string, back: string): number =>
  Math.min(...[0, 1].map((mode) => contrast(COLORS.get(front)![mode]!, COLORS.get(back)![mode]!)));

const GROUNDS = ['page', 'surface', 'raised'];
const TEXTS = ['ink', 'quiet', 'link', 'good', 'run', 'warn', 'bad'];

it.each(GROUNDS.flatMap((ground) => TEXTS.map((text) => [text, ground] as const)))(
  'text in %s can be read on %s, in light and in dark',
  (text, ground) => expect(worst(text, ground)).toBeGreaterThanOrEqual(4.5),
);

it.each([
  ['on-danger', 'danger'],
  ['on-badge', 'production'],
  ['on-badge', 'preview'],
  ['page', 'ink'],
])('text in %s can be read on %s, in light and in dark', (text, ground) =>
  expect(worst(text, ground)).toBeGreaterThanOrEqual(4.5),
);

it.each(['page', 'surface'])('the edge of a control is seen on %s, in light and in dark', (ground) =>
  expect(worst('edge', ground)).toBeGreaterThanOrEqual(3),
);
