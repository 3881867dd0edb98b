/**
 * The answer in words: the same for the page and as text to copy. Each thing that was found has a headline, a sentence and its facts;
 * where nothing was found, what was asked and how far back the receipts go.
 */
import { utcInWords } from '../../platform/in-words';
import { periodInWords } from '../../policies/period';
import { isErasureStep, policyInWords } from '../../policies/step-names';
import type { Answer, Found, Gone } from './answer';
import type { Explanation } from './explain-row';

export interface Fact {
  readonly name: string;
  readonly text: string;
  /** The run it is about. */
  readonly run?: string;
}

interface FoundInWords {
  readonly kind: 'deleted' | 'kept' | 'going';
  readonly headline: string;
  readonly sentence: string;
  readonly facts: readonly Fact[];
  /** The row, while it is there and has a date that can be put off. */
  readonly extendable: { readonly table: string; readonly key: string } | null;
}

interface AnswerInWords {
  readonly found: readonly FoundInWords[];
  /** Where nothing was found; null otherwise. */
  readonly never: {
    readonly headline: string;
    readonly sentence: string;
    readonly facts: readonly Fact[];
  } | null;
}

export function answerInWords(answer: Answer): AnswerInWords {
  const found = answer.found.flatMap((f) => [
    ...(f.present ? presentInWords(f) : []),
    ...f.deletions.toReversed().map((d) => goneInWords(f, d)),
  ]);
  return { found, never: found.length > 0 ? null : neverInWords(answer) };
}

/** Plain text, to paste into a letter or a ticket. */
export function answerAsText(answer: Answer): string {
  const { found, never } = answerInWords(answer);
  const parts = never ? [never] : found;
  const blocks = parts.map(({ headline, sentence, facts }) =>
    [headline, sentence, ...facts.map((f) => `${f.name}: ${f.text}`)].join('\n'),
  );
  const about = `Asked for ${answer.asked.id}${answer.asked.table ? ` in ${answer.asked.table}` : ''} on ${utcInWords(answer.asOf)}`;
  return `${[about, ...blocks].join('\n\n')}\n`;
}

function presentInWords(found: Found): FoundInWords[] {
  if (found.here.length > 0) return found.here.filter((h) => h.present).map((h) => explained(found, h));
  const sentence = `Row ${found.key} of ${found.table} has no date of its own: it goes with the row it belongs to, under ${found.along.join(', ')}.`;
  return [{ kind: 'kept', headline: 'Still here', sentence, facts: [], extendable: null }];
}

function explained(found: Found, here: Explanation): FoundInWords {
  const row = `Row ${found.key} of ${found.table}`;
  const [, ...others] = here.reasons;
  const extendable = here.expiresAt === null ? null : { table: found.table, key: found.key };
  const facts: Fact[] = [
    { name: 'Policy', text: `${here.policy}${here.rule === null ? '' : `, rule ${here.rule}`}` },
    { name: 'Its date', text: here.clock === null ? 'none' : utcInWords(here.clock) },
    { name: 'Past its period', text: here.expiresAt === null ? 'never' : utcInWords(here.expiresAt) },
    ...others.map((r) => ({ name: 'Also', text: sentenceOf(r.message) })),
    ...(here.toldAt === null ? [] : [{ name: 'Its organization was told', text: utcInWords(here.toldAt) }]),
  ];
  if (here.status === 'due') {
    const next =
      here.goesAt === null ? 'with the next run' : `with the next run, on ${utcInWords(here.goesAt)}`;
    const sentence = `${row} is past its date and goes ${next}, unless it is held or extended.`;
    return { kind: 'going', headline: 'Goes with the next run', sentence, facts, extendable };
  }
  if (here.goesAt !== null && here.status === 'not_expired') {
    const told = here.toldAt === null ? '' : ` Its organization was told on ${utcInWords(here.toldAt)}.`;
    const headline = `Due on ${utcInWords(here.goesAt)}`;
    const sentence = `${row} is kept until ${utcInWords(here.expiresAt!)} and goes with the run on ${utcInWords(here.goesAt)}, unless it is held or extended.${told}`;
    return { kind: 'going', headline, sentence, facts, extendable };
  }
  const past = here.reasons.some(
    (r) => r.why === 'not_expired' || r.why === 'no_clock' || r.why === 'for_ever',
  );
  const since = !past && here.expiresAt !== null ? `Past its date since ${utcInWords(here.expiresAt)}. ` : '';
  const sentence = `${row} is still here. ${since}${sentenceOf(here.message)}`;
  return { kind: 'kept', headline: 'Still here', sentence, facts, extendable };
}

const sentenceOf = (message: string): string =>
  `${message.charAt(0).toUpperCase()}${message.slice(1)}${message.endsWith('.') ? '' : '.'}`;

const HAPPENED: Readonly<Record<string, readonly [headline: string, verb: string]>> = {
  delete: ['Deleted', 'was deleted'],
  archive: ['Deleted', 'was archived and deleted'],
  soft_delete: ['Marked as deleted', 'was marked as deleted'],
  mask: ['Masked', 'was masked'],
  drop_partition: ['Gone with its partition', 'went, if it was there, with its partition'],
};

function goneInWords(found: Found, gone: Gone): FoundInWords {
  const [headline, verb] = gone.detached
    ? ['Reference taken away', 'stayed, and lost its reference to a row that went,']
    : (HAPPENED[gone.action] ?? ['Gone', `left by ${gone.action}`]);
  const at = utcInWords(gone.committed_at);
  const why = gone.reason === 'retention' ? 'its period was over' : gone.reason;
  const along = gone.as_dependant && !gone.detached ? ' along with the row it belonged to' : '';
  const sentence = `Row ${found.key} of ${found.table} ${verb}${along} on ${at}, by ${byOf(gone.policy)}: ${why}.`;
  const facts = factsOf(found, gone);
  return { kind: 'deleted', headline: `${headline} on ${at}`, sentence, facts, extendable: null };
}

const byOf = (policy: string): string =>
  isErasureStep(policy) ? `an ${policyInWords(policy)}` : `policy ${policy}`;

function factsOf(found: Found, gone: Gone): Fact[] {
  const { proof } = gone;
  const approval =
    proof.approved_by === null ? '' : `, approved by ${proof.approved_by}: "${proof.approval_reason}"`;
  const started = proof.trigger === 'cron' ? `the schedule (${gone.actor})` : `${gone.actor}, by hand`;
  return [
    { name: 'Rule', text: rulesOf(gone) },
    { name: 'Version', text: `${policyInWords(gone.policy)} ${gone.policy_version}` },
    { name: 'Run', text: gone.run, run: gone.run },
    { name: 'Batch', text: `${gone.seq}, of ${count(proof.deleted, 'row')}` },
    { name: 'Started by', text: `${started}${approval}` },
    { name: 'Went with it', text: withIt(gone) },
    { name: 'Held then', text: heldThen(found, gone) },
    { name: 'Receipt', text: receiptOf(gone) },
    { name: 'Can it come back', text: backOf(found, gone) },
  ];
}

function rulesOf({ proof, partition }: Gone): string {
  if (partition) return `the whole partition ${partition.name} was past its date`;
  const named = proof.rules.map((label) => {
    const seconds = proof.periods[label];
    return seconds === undefined || seconds === null ? label : `${label}, kept ${periodInWords({ seconds })}`;
  });
  if (named.length === 0) return 'not recorded';
  return named.length === 1 ? named[0]! : `one of: ${named.join('; ')}`;
}

const count = (n: number, unit: string): string => `${n.toLocaleString('en')} ${unit}${n === 1 ? '' : 's'}`;

function withIt({ proof }: Gone): string {
  const own = Object.entries(proof.own_files).map(
    ([state, n]) => `${count(n, 'file')} of its own (${state})`,
  );
  const batch = Object.entries(proof.dependants)
    .filter(([, n]) => n > 0)
    .map(([table, n]) => `${count(n, 'row')} of ${table}`);
  const files = proof.files > 0 ? [`${count(proof.files, 'file')}`] : [];
  const whole = [...batch, ...files];
  const said = [...own, ...(whole.length > 0 ? [`with its whole batch: ${whole.join(', ')}`] : [])];
  return said.length > 0 ? said.join('; ') : 'nothing';
}

function heldThen({ holds }: Found, { committed_at: at }: Gone): string {
  const before = holds
    .filter((h) => h.released_at !== null && Date.parse(h.released_at) <= Date.parse(at))
    .at(-1);
  const later = holds.some((h) => Date.parse(h.placed_at) > Date.parse(at));
  const none = 'no: no batch takes a row that is held';
  if (before)
    return `${none}; a hold of ${before.placed_by} on it ("${before.reason}") had ended on ${utcInWords(before.released_at!)}`;
  return later ? `${none}; a hold on it was placed later` : none;
}

function receiptOf({ proof, entry }: Gone): string {
  if (proof.intact === false) return 'NOT what was written: its hash does not fit. Verify the chain.';
  if (entry === null || proof.sealed === null)
    return 'written; its run has not ended, so it is not in the chain yet';
  return proof.sealed
    ? `✓ in the chain, entry ${entry}`
    : `NOT as it was sealed by entry ${entry}: verify the chain`;
}

function backOf(found: Found, { proof, action, committed_at }: Gone): string {
  const backup = `only from a backup of the database made before ${utcInWords(committed_at)}`;
  if (found.present && action === 'delete') return 'a row with this key is here again';
  if (action === 'soft_delete')
    return found.present ? 'yes, while it is marked: an operator can restore it' : backup;
  if (action === 'mask') return `what was masked ${backup}`;
  const { archive } = proof;
  if (archive?.state !== 'kept') return backup;
  return `yes, from archive ${archive.id}${archive.expires_at === null ? '' : `, until ${utcInWords(archive.expires_at)}`}`;
}

function neverInWords({
  asked,
  tables,
  notItsKey,
  receiptsSince,
}: Answer): NonNullable<AnswerInWords['never']> {
  return {
    headline: 'Not here, and in no receipt',
    sentence: `No table governed by Lapse and no receipt knows ${asked.id}. It may never have been there, or something else than Lapse removed it.`,
    facts: [
      { name: 'Asked', text: tables.length > 0 ? tables.join(', ') : 'no table: none has such a key' },
      ...(notItsKey.length > 0 ? [{ name: 'Cannot be a key of', text: notItsKey.join(', ') }] : []),
      {
        name: 'Receipts go back to',
        text: receiptsSince === null ? 'there is none yet' : utcInWords(receiptsSince),
      },
    ],
  };
}
