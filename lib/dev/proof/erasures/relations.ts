/** What refers to what, by which rule of the database, and what the map says of each reference; and what names a subject without one. */
import type { Rolls } from '../shapes/rolls';
import type { Action } from '../shapes/shape';
import type { Draft, DraftMention, Handling } from './drafts';

const ACTIONS: readonly Action[] = ['cascade', 'no action', 'no action', 'restrict', 'set null'];
/** A reference that nobody has decided: the answer has the line to write. */
const UNDECIDED_PERCENT = 4;

const goes = (t: Draft): boolean => t.fate === 'delete';

export function linkAll(rolls: Rolls, subjects: readonly Draft[], tables: readonly Draft[]): void {
  const [people, firms] = subjects;
  for (const [i, t] of tables.entries()) {
    if (rolls.chance(60)) link(rolls, t, people!);
    if (rolls.chance(12)) link(rolls, t, people!);
    if (firms && rolls.chance(30)) link(rolls, t, firms);
    const earlier = tables.slice(0, i);
    if (earlier.length > 0 && rolls.chance(75)) link(rolls, t, rolls.of(earlier));
    if (earlier.length > 1 && rolls.chance(25)) link(rolls, t, rolls.of(earlier));
    if (rolls.chance(20)) link(rolls, t, t);
    if (i > 0 && rolls.chance(12)) link(rolls, rolls.of(earlier), t);
  }
  // A person invited by another, a firm owned by one, a person of a firm.
  for (const from of subjects) for (const to of subjects) if (rolls.chance(15)) link(rolls, from, to);
}

function link(rolls: Rolls, from: Draft, to: Draft): void {
  if (from.references.length > 4) return;
  const action = rolls.of(ACTIONS);
  const handling = handlingOf(rolls, from, to, action);
  if (handling === null) return;
  const columns = to.key.map((k) => from.add(`${to.name.slice(0, 20)}_${k.slice(0, 20)}`, to.typeOf(k)));
  const mayBeEmpty =
    action !== 'set null' && (handling === 'delete' || handling === 'bare' || handling === 'retain');
  if (mayBeEmpty && from !== to && rolls.chance(25)) for (const c of columns) from.setNotNull(c);
  // Of a composite reference one column may be another's, too: only one of the two becomes empty.
  const apart = columns.length > 1 && (handling === 'detach' || handling === 'mask') && action !== 'set null';
  if (apart && rolls.chance(50)) from.setNotNull(columns[0]!);
  const spoken = apart ? columns.slice(-1) : columns;
  from.handle(spoken, handling);
  from.references.push({
    name: from.names.next(`${from.name.slice(0, 15)}_to_${to.name.slice(0, 15)}_fk`),
    columns,
    to,
    action,
    handling,
  });
}

/** What a developer would say who knows what goes; null: such a reference is none. */
function handlingOf(rolls: Rolls, from: Draft, to: Draft, action: Action): Handling | null {
  if (rolls.chance(UNDECIDED_PERCENT)) return 'bare';
  if (from.subject) return goes(to) ? 'detach' : 'bare';
  if (from.fate === 'delete') {
    const isName = to.subject !== null;
    const gone = ['delete', 'delete', 'delete', 'detach'] as const;
    return rolls.of(isName || (action === 'cascade' && goes(to)) ? [...gone, 'bare' as const] : gone);
  }
  if (from.fate === 'mask')
    return rolls.of(
      goes(to) ? (['mask', 'mask', 'detach'] as const) : (['mask', 'retain', 'detach'] as const),
    );
  if (from.fate === 'retain') return goes(to) ? 'detach' : rolls.of(['retain', 'retain', 'detach'] as const);
  // A name of the subject needs a decision.
  if (to.subject) return 'detach';
  return !goes(to) || action === 'set null' ? rolls.of(['bare', 'detach'] as const) : 'detach';
}

export function addMentions(rolls: Rolls, t: Draft, subjects: readonly Draft[]): void {
  if (t.fate === 'none') return;
  const hasEmail = subjects.some((s) => s.texts.length > 0);
  const add = (
    plain: string,
    type: DraftMention['type'],
    is: DraftMention['is'],
    same: string,
    path?: string,
  ) => {
    const column = t.add(plain, type === 'same' ? same : type);
    t.handle([column], t.fate as Handling);
    t.mentions.push({ column, type, is, ...(path ? { path } : {}) });
  };
  const emailIs = subjects[0]!.texts[0];
  if (hasEmail && rolls.chance(20)) add('sender', 'text', emailIs!, '');
  if (hasEmail && rolls.chance(20))
    add('payload', 'jsonb', emailIs!, '', rolls.of(['$.customer.email', '$.to[*].email', '$.a.b']));
  const subject = rolls.of(subjects);
  if (rolls.chance(20))
    add('actor', rolls.of(['same', 'text'] as const), subject.subject!, subject.typeOf(subject.key[0]!));
  if (rolls.chance(12)) add('event', 'jsonb', subject.subject!, '', rolls.of(['$.user', '$.by[*].id']));
}
