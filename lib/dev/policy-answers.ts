/** Answers to `npm run policy:new` where no database is at hand to be asked: a policy from what a person says of it. */
import { definePolicy, type PolicyInput } from '../policies/contract';

export interface PolicyAnswers {
  readonly name: string;
  readonly table: string;
  readonly key: string;
  readonly keyType: string;
  /** `no`: a key of text names no person. */
  readonly keyPersonal?: string;
  readonly clock: string;
  readonly clockType: 'timestamptz' | 'timestamp' | 'date';
  readonly days: number;
  readonly schedule: string;
  readonly organization?: string;
  readonly user?: string;
  readonly description: string;
  readonly justification: string;
  readonly ground: string;
}

/** Each question with its default; none means it must be answered. */
export const QUESTIONS: readonly [keyof PolicyAnswers, string, string?][] = [
  ['name', 'Name: its route and file, e.g. quiz-responses'],
  ['table', 'Table, e.g. public.quiz_responses'],
  ['key', 'Key column', 'id'],
  ['keyType', 'Type of the key', 'uuid'],
  ['keyPersonal', 'A key of text: could it name a person, as an address does? yes or no', ''],
  ['clock', 'Column that starts the clock, e.g. completed_at'],
  ['clockType', 'Its type: timestamptz, timestamp or date', 'timestamptz'],
  ['days', 'Days to keep'],
  ['schedule', 'Schedule, UTC', '20 5 * * *'],
  ['organization', 'Column of the organization, for legal holds (empty: none)', ''],
  ['user', 'Column of the user, for legal holds (empty: none)', ''],
  ['description', 'What goes, in one sentence'],
  ['justification', 'Why this long'],
  ['ground', 'Legal ground, e.g. GDPR Art. 5(1)(e)'],
];

/** An expiry lies ahead of now for as long as its row is good. */
const liesAhead = (column: string): boolean =>
  /expir(es|y|ation)|until|valid_?to|(^|_)ends?_?(at|on)$/i.test(column);

/** Checked as the contract does, so that nothing is written that would not start. Throws PolicyError. */
export function policyOf(p: PolicyAnswers): PolicyInput {
  const [schema, table] = p.table.includes('.') ? p.table.split('.', 2) : ['public', p.table];
  const scope = {
    ...(p.organization ? { organization: p.organization } : {}),
    ...(p.user ? { user: p.user } : {}),
  };
  const input: PolicyInput = {
    name: p.name,
    description: p.description,
    justification: p.justification,
    ground: p.ground,
    schedule: { run: p.schedule },
    table: schema === 'public' ? { name: table ?? '' } : { schema: schema ?? '', name: table ?? '' },
    key: [{ column: p.key, type: p.keyType, ...(p.keyPersonal === 'no' ? { personal: false } : {}) }],
    clock: { column: p.clock, type: p.clockType },
    rules: [{ label: 'all', keepFor: { seconds: p.days * 86_400 } }],
    ...(Object.keys(scope).length > 0 ? { scope } : {}),
    ...(liesAhead(p.clock) ? { quality: { futureClocks: 1 } } : {}),
  };
  definePolicy(input);
  return input;
}

/** Where a database is at hand, these are all that a person is asked. */
export function adoptFlags(p: Partial<Record<keyof PolicyAnswers, string>>): string[] {
  const given = {
    table: p.table,
    name: p.name,
    clock: p.clock,
    keep: p.days === undefined ? undefined : `${p.days}d`,
    schedule: p.schedule,
    description: p.description,
    reason: p.justification,
    ground: p.ground,
  };
  const flags = Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, value],
  );
  return p.keyPersonal === 'no' ? [...flags, '--key-names-nobody'] : flags;
}
