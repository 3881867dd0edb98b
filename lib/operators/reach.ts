/**
 * What a subject reaches: each text a batch will compare it by, and the rows that print it now. What reaches
 * no row is refused unless the operator says that its rows are still to come, for then only a slip of the pen
 * tells such a hold from one that protects nothing.
 */
import { RequestError } from '../platform/errors';
import type { Services } from '../services';
import { type Counted, type Cover, count, coverOf, coversNothing } from './coverage';
import { type Spelled, spell, spellInAny } from './spelling';
import { readParts, type Written } from './subject';
import { type Scope, scopeTargets, type Target } from './targets';

export interface Reached {
  /** At least one; as stored and compared. */
  readonly subjects: readonly string[];
  readonly covers: readonly Cover[];
}

/** An organization or a user: as every table that names one prints it. */
export async function reachScope(
  services: Services,
  scope: Scope,
  written: Written,
  force: boolean,
): Promise<Reached> {
  const parts = readParts('subject', written);
  const targets = scopeTargets(services.policies, scope);
  if (targets.length === 0) {
    throw new RequestError(
      422,
      'covers_nothing',
      `no policy's table names ${scope === 'user' ? 'a user' : 'an organization'} (scope.${scope}); hold the rows one by one with scope "item"`,
      'scope',
    );
  }
  const spelled = await spellInAny(services, 'subject', parts, targets);
  const forms = new Set(spelled.map((s) => s.subject!));
  // A text column prints whatever was written into it: also what another table prints for the same id.
  const inTexts = spelled
    .filter(isText)
    .flatMap((s) =>
      [...forms].filter((f) => f !== s.subject).map((f) => ({ ...s, subject: f, values: [f] })),
    );
  const counted = await count(services, [...spelled, ...inTexts]);
  refuseUntold(counted);
  for (const c of counted) for (const form of c.forms?.keys() ?? []) forms.add(form);
  return answered('subject', [...forms], coverOf(counted, forms), force);
}

/** One row of one table, by its key. */
export async function reachItem(
  services: Services,
  field: string,
  written: Written,
  targets: readonly Target[],
  force: boolean,
): Promise<Reached> {
  const spelled = await spellInAny(services, field, readParts(field, written), targets);
  const counted = await count(services, spelled);
  refuseUntold(counted);
  const printed = new Set(counted.flatMap((c) => [...(c.forms?.keys() ?? [])]));
  if (printed.size === 0 && force && spelled.some((s) => s.loose)) {
    throw new RequestError(
      422,
      'no_row',
      `${field}: equal values of its type can be printed in several ways, so only a row that is there can be named`,
      field,
    );
  }
  const subjects = printed.size > 0 ? printed : new Set(spelled.map((s) => s.subject!));
  return answered(field, [...subjects], coverOf(counted, subjects), force);
}

/** How something set earlier may be called in Lapse's own tables: as printed, then as written, in whatever version. */
export async function storedAs(
  services: Services,
  field: string,
  written: Written,
  targets: readonly Target[],
): Promise<string[]> {
  const { values } = readParts(field, written);
  const pairs = targets.map((target) => ({ parts: values, target }));
  const spelled = (await spell(services, pairs)).filter((s) => s.subject !== null);
  const loose = (
    await count(
      services,
      spelled.filter((s) => s.loose),
    )
  ).flatMap((c) => [...(c.forms?.keys() ?? [])]);
  const printed = spelled.map((s) => s.subject!);
  const asWritten = typeof written === 'string' ? [written] : [];
  return [...new Set([...loose, ...printed, ...asWritten, ...(values.length === 1 ? values : [])])];
}

const isText = (s: Spelled): boolean => /^(text|character varying|bpchar)$/.test(s.columns[0]?.base ?? '');

/** The rows alone say how they print such a value: without a look at them a hold would be a guess. */
function refuseUntold(counted: readonly Counted[]): void {
  const untold = counted.find((c) => c.spelled.loose && c.forms === null);
  if (!untold) return;
  const { table, columns } = untold.spelled.target;
  throw new RequestError(
    409,
    'cannot_look',
    `${table.schema}.${table.name} could not be read in time, and only its rows tell how they print ${columns.join(', ')}; an index on it lets Lapse look; nothing was changed`,
  );
}

function answered(field: string, subjects: string[], covers: Cover[], force: boolean): Reached {
  if (force || !coversNothing(covers)) return { subjects, covers };
  const tables = [...new Set(covers.map((c) => c.table))].join(', ');
  throw new RequestError(
    422,
    'covers_nothing',
    `no row of ${tables} has this value; check how it is spelled, or add "force": true if its rows are still to come`,
    field,
  );
}
