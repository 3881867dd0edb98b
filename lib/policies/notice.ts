/**
 * G9: telling an organization before its rows go. At each threshold it gets one message for all policies; a policy may keep
 * what nobody was told of. The addresses are the business's own: one row an organization says where, and in which zone.
 */
import { z } from 'zod';
import { identifier } from './strategies/column';

const days = z.number().int().min(1).max(365);

export const Notice = z.object({
  /** Days before a row may go at which its organization is told, at the least. */
  thresholdsDays: z.array(days).min(1).default([30, 7, 1]),
  /** A row stays unless a message about it was delivered at least so many days before: one of the thresholds. */
  requiredDays: days.optional(),
  /** A link in the message keeps the rows so many days longer; without it there is none. */
  extendDays: days.optional(),
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
