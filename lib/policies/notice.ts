/**
 * G9: telling an organization before its rows go. At each threshold it gets one message for all policies; a policy may keep
 * what nobody was told of. The addresses are the business's own: one row an organization says where, and in which zone.
 */
import { z } from 'zod';
import type { Settings } from '../platform/settings';
import { identifier } from './strategies/column';

const days = z.number().int().min(1).max(365);

export const Notice = z.object({
  /** Days before a row may go at which its organization is told, at the least. */
  thresholdsDays: z.array(days).min(1).default([30, 7, 1]),
  /** A row stays unless a message about it was delivered at least so many days before: one of the thresholds. */
  requiredDays: days.optional(),
  /** A link in the message keeps the rows so many days longer; without it there is none. */
  extendDays: days.optional(),
  /** What the organization calls the rows, e.g. `documents`; the policy's name unless given. */
  called: z.string().min(1).max(60).optional(),
  to: z.object({
    /** The tenants' own table and key unless named. */
    table: z.object({ schema: identifier.default('public'), name: identifier }).optional(),
    organization: identifier.optional(),
    /** Holds one address; an organization without one cannot be told. */
    address: identifier,
    /** Holds a time zone by its name, e.g. Europe/Vienna; times are in UTC without it. */
    zone: identifier.optional(),
  }),
});
export type Notice = z.output<typeof Notice>;

/** What a declaration breaks, each naming the field. */
export function noticeProblems({
  notice,
  tenants,
}: {
  notice?: Notice | undefined;
  tenants?: unknown;
}): string[] {
  if (notice === undefined) return [];
  const { thresholdsDays, requiredDays, to } = notice;
  return [
    ...(tenants === undefined
      ? ["notice: needs tenants, which say whose each row is; with one rule for all, label: `'<the rule>'`"]
      : []),
    ...(new Set(thresholdsDays).size < thresholdsDays.length
      ? ['notice.thresholdsDays: a threshold is named twice']
      : []),
    ...(requiredDays !== undefined && !thresholdsDays.includes(requiredDays)
      ? [`notice.requiredDays: must be one of thresholdsDays (${thresholdsDays.join(', ')})`]
      : []),
    ...((to.table === undefined) !== (to.organization === undefined)
      ? ['notice.to.organization: say which column of to.table names the organization']
      : []),
  ];
}

/**
 * A declared notice that could never be sent stops the start: rows that wait for it would stay forever. Each begins with the
 * variables that are missing.
 */
export function missingForNotices(
  policies: readonly { readonly name: string; readonly notice?: Notice | undefined }[],
  { notices, links }: Pick<Settings, 'notices' | 'links'>,
): string[] {
  const telling = policies.filter((p) => p.notice !== undefined).map((p) => p.name);
  if (telling.length === 0) return [];
  const why = `${telling.join(', ')} ${telling.length === 1 ? 'tells' : 'tell'} organizations before their rows go`;
  return [
    ...(notices === undefined ? [`NOTICE_SMTP_URL and NOTICE_FROM are required: ${why}`] : []),
    ...(links === undefined ? [`LAPSE_LINK_KEY and LAPSE_URL are required: ${why}`] : []),
  ];
}
