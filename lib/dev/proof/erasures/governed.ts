/** Policies for some of the tables, as a developer would write them: what refers to the rows, whose they are, and which files they name. */
import type { PolicyInput } from '../../../policies/contract';
import type { Rolls } from '../shapes/rolls';
import { quoted, tableOf } from '../shapes/shape';
import type { Draft, DraftReference } from './drafts';

type Dependant = NonNullable<PolicyInput['dependants']>[number];

/** Adds what a policy needs of its table. */
export function governed(
  rolls: Rolls,
  all: readonly Draft[],
  tables: readonly Draft[],
  number: number,
  prefix: string,
): PolicyInput[] {
  const chosen = tables.filter((t) => t.fate === 'delete' && rolls.chance(35));
  for (const [i, t] of chosen.entries()) {
    t.policy = `policy-${i}`;
    t.clock = t.add('at', 'timestamp with time zone');
    if (rolls.chance(60)) t.file = t.add('file', 'text');
    if (rolls.chance(25)) partition(rolls, t, number);
  }
  const naming = chosen.filter((t) => t.file !== null);
  return chosen.map((t) => policyOf(rolls, t, all, naming, prefix));
}

const keyOf = (t: Draft) =>
  t.key.map((column) => (t.typeOf(column) === 'text' ? { column, personal: false as const } : { column }));

const nameOf = ({ schema, name }: Draft) => ({ schema, name });

function policyOf(
  rolls: Rolls,
  t: Draft,
  all: readonly Draft[],
  naming: readonly Draft[],
  prefix: string,
): PolicyInput {
  return {
    name: t.policy!,
    description: 'rows of a random schema',
    justification: 'because a proof wants it so',
    ground: 'proof',
    schedule: { run: '0 2 * * *' },
    table: nameOf(t),
    key: keyOf(t),
    clock: { column: t.clock!, type: 'timestamptz' },
    rules: [{ label: 'all', keepFor: { seconds: null } }],
    scope: scopeOf(t),
    ...(t.partitionedBy ? { partitioned: { by: 'other' } } : {}),
    files: t.file
      ? [
          {
            column: t.file,
            fate: 'delete',
            prefix,
            sharedWith: naming.filter((x) => x !== t).map((x) => ({ table: nameOf(x), column: x.file! })),
          },
        ]
      : [],
    dependants: all.flatMap((from) =>
      from.references.filter((r) => r.to === t).map((r) => dependantOf(rolls, from, r, all)),
    ),
  };
}

/** By its references to subjects, the first of each kind. */
function scopeOf(t: Draft): { user?: string; organization?: string } {
  const by = (kind: string) => t.references.find((r) => r.to.subject === kind)?.columns[0];
  const [user, organization] = [by('user'), by('organization')];
  return { ...(user ? { user } : {}), ...(organization ? { organization } : {}) };
}

function dependantOf(rolls: Rolls, from: Draft, r: DraftReference, all: readonly Draft[]): Dependant {
  const isLeaf = !all.some((t) => t.references.some((x) => x.to === from));
  const mayGo = isLeaf && from.policy === null && from.fate === 'delete' && r.handling === 'delete';
  const letsGo = r.handling === 'bare' && r.action === 'set null' && from.fate === 'none';
  return {
    table: nameOf(from),
    key: keyOf(from),
    references: [...r.columns],
    fate: letsGo ? 'keep' : mayGo && rolls.chance(50) ? 'delete' : 'block',
    scope: scopeOf(from),
  };
}

function partition(rolls: Rolls, t: Draft, number: number): void {
  const parts = 1 + rolls.upTo(3);
  t.partitionedBy = `hash (${quoted(t.key[0]!)})`;
  t.partitions = Array.from(
    { length: parts },
    (_, i) =>
      `create table ${tableOf({ schema: t.schema, name: `part_${number}_${t.policy}_${i}` })} partition of ${tableOf(t)} for values with (modulus ${parts}, remainder ${i})`,
  );
}
