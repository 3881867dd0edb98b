/** Numbers in Redis' own notation: 64-bit integers without any leniency, and scores with infinities. */
import { notAFloat, notAnInteger, overflow } from './reply';

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

/** Exactly what Redis prints: no sign, space or leading zero it would not print itself. */
export function integer(text: string, error = notAnInteger): bigint {
  if (!/^(0|-?[1-9]\d{0,18})$/.test(text)) throw error();
  const value = BigInt(text);
  if (value < MIN || value > MAX) throw error();
  return value;
}

/** For counts, positions and times, which stay well inside 2^53. */
export function small(text: string, error = notAnInteger): number {
  return Number(integer(text, error));
}

export function added(value: bigint, by: bigint): bigint {
  const sum = value + by;
  if (sum < MIN || sum > MAX) throw overflow();
  return sum;
}

export function score(text: string, error = notAFloat): number {
  const infinite = /^([+-]?)inf(inity)?$/i.exec(text);
  if (infinite) return infinite[1] === '-' ? -Infinity : Infinity;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw error();
  return Number(text);
}

/** The shortest text that reads back as the same number, as %.17g without its noise. */
export function scoreText(value: number): string {
  if (value === Infinity) return 'inf';
  if (value === -Infinity) return '-inf';
  if (Object.is(value, -0)) return '-0';
  const magnitude = Math.abs(value);
  if (Number.isInteger(value) && magnitude < 1e17) return BigInt(value).toString();
  return String(value).replace(/e\+?(-?)(\d)$/, 'e$1$2');
}
