/** One random schema for an erasure: the same seed and number, the same schema. */
import type { DataMapInput } from '../../../policies/data-map-contract';
import { Rolls } from '../shapes/rolls';
import { labelOf } from '../shapes/shape';
import { Names, type TypeName } from '../shapes/values';
import { Draft, type Fate } from './drafts';
import { governed } from './governed';
import { holdsOn } from './holds';
import { addMentions, linkAll } from './relations';
import { fill } from './rows';
import { type ErasureShape, KINDS, type Kind } from './shape';

const FATES: readonly Fate[] = ['delete', 'delete', 'delete', 'delete', 'mask', 'mask', 'retain', 'none'];
/** Of subjects: long ones and short ones, which a check may look for everywhere or only where they are named. */
const SUBJECT_KEYS: readonly TypeName[] = ['uuid', 'uuid', 'uuidv7', 'bigint', 'int', 'cuid', 'text'];
const KEYS: readonly TypeName[] = ['uuid', 'uuid', 'bigint', 'int', 'cuid', 'numeric', 'date'];
const PARTS: readonly TypeName[] = ['uuid', 'int', 'date', 'bigint'];

export function generate(seed: number, number: number): ErasureShape {
  const rolls = new Rolls(seed, number);
  const odd = rolls.of([0, 0, 15, 60]);
  const schemas = rolls.chance(35) ? ['app', 'My Schema'].slice(0, 1 + rolls.upTo(2)) : [];
  const place = () => rolls.of(['public', 'public', ...schemas]);
  const names = new Names(rolls, odd);
  const draft = (plain: string, fate: Fate) => new Draft(place(), names.next(plain), fate, rolls, odd);
  const subjects = [subjectTable(rolls, draft('people', rolls.chance(80) ? 'delete' : 'mask'), 'user')];
  if (rolls.chance(45))
    subjects.push(subjectTable(rolls, draft('firms', rolls.chance(80) ? 'delete' : 'mask'), 'organization'));
  const tables = Array.from({ length: rolls.of([1, 2, 2, 3, 3, 4, 5]) }, (_, i) =>
    plainTable(rolls, draft(`things_${i}`, rolls.of(FATES))),
  );
  const scope = subjects.length > 1 && rolls.chance(35) ? ('organization' as const) : ('user' as const);
  for (const t of tables) addMentions(rolls, t, subjects);
  linkAll(rolls, subjects, tables);
  const all = [...subjects, ...tables];
  const prefix = `files-${seed}-${number}/`;
  const policies = governed(rolls, all, tables, number, prefix);
  const folder = rolls.chance(25) ? `folders-${seed}-${number}/` : null;
  const { subject, files } = fill(rolls, { all, subjects, scope, folder, prefix });
  const map: DataMapInput = Object.fromEntries(
    all.map((t) => [labelOf(t), { ...t.line(), ...subjectLine(t, scope, folder) }]),
  );
  const after = holdsOn(rolls, all, subjects, scope, subject);
  return {
    seed,
    number,
    schemas,
    tables: all.map((t) => ({ ...t, name: t.name, schema: t.schema, references: t.referencesWritten() })),
    map,
    policies,
    scope,
    subject,
    after,
    files,
    kinds: kindsOf(all, { odd, folder, after, scope, policies: policies.length }),
  };
}

const subjectLine = (t: Draft, scope: string, folder: string | null): object =>
  t.subject
    ? {
        ...(t.texts.length > 0 ? { identifiers: t.texts } : {}),
        ...(folder && t.subject === scope ? { files: [`${folder}{id}/`] } : {}),
      }
    : {};

function subjectTable(rolls: Rolls, t: Draft, subject: 'user' | 'organization'): Draft {
  t.subject = subject;
  t.addKey([rolls.of(SUBJECT_KEYS)]);
  const email = t.add(subject === 'user' ? 'email' : 'billing', 'text');
  if (subject === 'user' && rolls.chance(75)) t.texts.push(email);
  t.handle([email, t.add('called', 'text')], t.fate === 'delete' ? 'delete' : 'mask');
  return t;
}

function plainTable(rolls: Rolls, t: Draft): Draft {
  t.addKey(rolls.chance(25) ? [rolls.of(PARTS), rolls.of(KEYS)] : [rolls.of(KEYS)]);
  const words = t.add('words', 'text');
  if (t.fate === 'delete') t.handle([words], 'delete');
  if (t.fate === 'retain') t.handle([words], 'retain');
  if (t.fate === 'mask') {
    t.handled.mask[words] = rolls.of([null, 'hash' as const, { constant: 'a customer' }]);
    if (rolls.chance(40)) t.handle([t.add('vat', 'text')], 'retain');
  }
  if (t.handled.retain.length > 0 && rolls.chance(60)) {
    const after = t.add('paid_at', rolls.of(['date', 'timestamp with time zone']));
    t.retainUntil = { days: 100, after };
  }
  if (rolls.chance(6)) t.memo = t.add('memo', 'text');
  if (rolls.chance(4)) t.granted = false;
  if (rolls.chance(4)) t.guarded = false;
  return t;
}

interface Made {
  readonly odd: number;
  readonly folder: string | null;
  readonly after: readonly string[];
  readonly scope: string;
  readonly policies: number;
}

function kindsOf(all: readonly Draft[], { odd, folder, after, scope, policies }: Made): Kind[] {
  const some = (is: (t: Draft) => boolean): boolean => all.some(is);
  const has: Record<Kind, boolean> = {
    'a composite key': some((t) => t.key.length > 1),
    'a reference to itself': some((t) => t.references.some((r) => r.to === t)),
    'a circle of tables': some((t) =>
      t.references.some((r) => r.to !== t && r.to.references.some((x) => x.to === t)),
    ),
    'a mask': some((t) => Object.keys(t.handled.mask).length > 0),
    'something retained': some((t) => t.handled.retain.length > 0),
    'a detached reference': some((t) => t.handled.detach.length > 0),
    'an identifier': some((t) => t.mentions.some((m) => m.is === 'email')),
    'a hold': after.length > 0,
    files: some((t) => t.file !== null),
    'a folder of the subject': folder !== null,
    partitions: some((t) => t.partitionedBy !== null),
    'a policy': policies > 0,
    'names that are quoted': odd > 0,
    'an organization': scope === 'organization',
  };
  return KINDS.filter((kind) => has[kind]);
}
