/**
 * What each role may do. Asked by the server in every read and every act, in pages and in routes: a button that is not
 * shown is no protection. The database asks for the operator's own token besides (lib/migrations/functions/operators.sql).
 */
import { RequestError } from '../errors';

export const ROLES = ['viewer', 'operator', 'approver', 'auditor'] as const;
export type Role = (typeof ROLES)[number];

/**
 * `look` at states and counts · `audit`: read the trail of single records, erasures and the audit chain · `stop` what
 * deletes · `operate`: everything else that needs one person · `approve`: what deletes more, or ends a protection.
 */
export type Permission = 'look' | 'audit' | 'stop' | 'operate' | 'approve';

const MAY: Readonly<Record<Role, readonly Permission[]>> = {
  viewer: ['look'],
  auditor: ['look', 'audit'],
  operator: ['look', 'audit', 'stop', 'operate'],
  approver: ['look', 'audit', 'stop', 'approve'],
};

/** Of an entry of LAPSE_OPERATORS without a role. */
export const WITHOUT_ROLE: readonly Role[] = ['operator', 'approver'];

export const may = (roles: readonly Role[], permission: Permission): boolean =>
  roles.some((role) => MAY[role].includes(permission));

/** Which roles have it, as words for a person who has none of them. */
export const whoMay = (permission: Permission): string =>
  ROLES.filter((role) => MAY[role].includes(permission)).join(' or ');

/** Throws RequestError 403 that names the roles that may. */
export function demand(who: { name: string; roles: readonly Role[] }, permission: Permission): void {
  if (may(who.roles, permission)) return;
  throw new RequestError(
    403,
    'role',
    `${who.name} has the role ${who.roles.join(' and ')}; this needs ${whoMay(permission)} (LAPSE_OPERATORS); nothing was changed`,
  );
}
