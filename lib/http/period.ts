/** The parameters of a report: from inclusive, to exclusive, UTC, and a format. Unknown names are refused. */
import { z } from 'zod';
import type { Period } from '../operators/audit/report';
import { RequestError } from '../platform/errors';

/** A year and a day: longer periods are asked for in parts. */
const MOST_DAYS = 367;
const NAMES = ['from', 'to', 'format'];
const Instant = z.union([z.iso.date(), z.iso.datetime({ offset: true })]);

export type Format = 'json' | 'csv';

/** A date counts from its midnight UTC. Throws RequestError 400 that names the parameter. */
export function readPeriod(parameters: URLSearchParams): Period & { format: Format } {
  refuseUnknown(parameters);
  const [from, to] = [instantOf(parameters, 'from'), instantOf(parameters, 'to')];
  if (to <= from) throw bad('to must be after from', 'to');
  if (to.getTime() - from.getTime() > MOST_DAYS * 86_400_000)
    throw bad(`ask for at most ${MOST_DAYS} days`, 'to');
  return { from, to, format: readFormat(parameters) };
}

/** Throws RequestError 400. */
export function refuseUnknown(parameters: URLSearchParams): void {
  const other = [...parameters.keys()].find((name) => !NAMES.includes(name));
  if (other === undefined) return;
  const message = `${other} is not a parameter; the parameters are ${NAMES.join(', ')}`;
  throw new RequestError(400, 'unknown_parameter', message, other);
}

/** Throws RequestError 400. */
export function readFormat(parameters: URLSearchParams): Format {
  const format = parameters.get('format') ?? 'json';
  if (format === 'json' || format === 'csv') return format;
  throw bad('format must be json or csv', 'format');
}

function instantOf(parameters: URLSearchParams, name: 'from' | 'to'): Date {
  const given = Instant.safeParse(parameters.get(name));
  if (!given.success) throw bad(`${name} must be a date (2026-03-01) or an instant with its zone`, name);
  // PostgreSQL knows no year 0, and Lapse kept nothing before there were computers.
  if (!/^(19[7-9]|[2-9]\d\d)/.test(given.data)) throw bad(`${name} must be in 1970 or later`, name);
  return new Date(given.data);
}

const bad = (message: string, name: string): RequestError =>
  new RequestError(400, 'bad_parameter', message, name);
