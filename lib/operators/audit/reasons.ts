/**
 * Why a row is still here: every reason that is true for it, the weightiest first. What stands against the whole policy (a stop,
 * a pause, a rollout) keeps a row that is past its date, and is only said of one that is not. None: it goes with the next run.
 */
import { rolloutMessage, stepOf } from '../../engine/guard/rollout';
import { utcInWords } from '../../platform/in-words';
import { tableLabel } from '../../platform/sql';
import { clockInWords } from '../../policies/clocks';
import { periodInWords } from '../../policies/period';
import { newestInWords } from '../../policies/spared/newest';
import { thinInWords } from '../../policies/spared/thinned';
import { strategyOf } from '../../policies/strategies';
import type { RowFacts } from './row-facts';

const WHY = [
  'erasing',
  'held',
  'extended',
  'guarded',
  'paused',
  'dead_letter',
  'marked',
  'unnoticed',
  'rollout',
  'cooling',
  'referenced',
  'condition',
  'newest',
  'one_of_period',
  'not_expired',
  'no_clock',
  'unknown_rule',
  'for_ever',
] as const;
export type Why = (typeof WHY)[number];

export interface Reason {
  readonly why: Why;
  /** Reads on after "still here: ". */
  readonly message: string;
}

/** Reasons that keep nothing back by themselves while the row is not past its date. */
const OF_THE_POLICY: readonly Why[] = ['guarded', 'paused', 'rollout'];

export function reasonsOf(facts: RowFacts): Reason[] {
  const all = WHY.flatMap((why): Reason[] => {
    const message = SAY[why](facts);
    return message === null ? [] : [{ why, message }];
  });
  if (isPast(facts)) return all;
  const ofPolicy = (r: Reason) => OF_THE_POLICY.includes(r.why);
  return [...all.filter((r) => !ofPolicy(r)), ...all.filter(ofPolicy)];
}

const isMarked = ({ declared, there }: RowFacts): boolean =>
  strategyOf(declared).stays !== null && there?.marked != null;

/** Past the date of its rule, whatever else keeps it. */
const isPast = (facts: RowFacts): boolean =>
  facts.judged?.past === true && facts.judged.finite === true && !isMarked(facts);

/** Some message where `is` is true. */
type Say = (facts: RowFacts) => string | null;

const SAY: Readonly<Record<Why, Say>> = {
  erasing: ({ there }) =>
    there?.erasure
      ? `its erasure was asked for on ${utcInWords(there.erasure.requested_at)} and ${there.erasure.state === 'requested' ? 'waits for a second operator' : 'is under way'} (erasure ${there.erasure.id})`
      : null,
  held: ({ there }) => {
    if (!there?.held) return null;
    const [hold] = there.holds;
    if (!hold || there.held.by !== null) return `a legal hold keeps it, by ${rowBelow(there.held)}`;
    return `a legal hold keeps it: "${hold.reason}", placed by ${hold.placed_by} on ${utcInWords(hold.placed_at)}, on ${hold.scope === 'item' ? 'this row' : `its ${hold.scope}`} (hold ${hold.id})`;
  },
  extended: ({ there }) =>
    there?.extended
      ? `${there.extended.by === null ? 'its retention' : `the retention of ${rowBelow(there.extended)}`} was extended${there.extension ? ` until ${utcInWords(there.extension.keep_until)} by ${there.extension.extended_by}: "${there.extension.reason}"` : ''}`
      : null,
  guarded: ({ state }) =>
    state.last_reason === 'guarded'
      ? `the last run, of ${utcInWords(state.last_at!)}, was stopped by a guard rail before it deleted anything, and waits for approval`
      : null,
  paused: ({ state }) => pausedBy(state),
  dead_letter: ({ there }) => {
    if (!there?.dead_letter) return null;
    const { letter } = there;
    if (there.dead_letter.by !== null)
      return `${rowBelow(there.dead_letter)} could not be deleted, and is a dead letter`;
    const error = letter ? ` (${letter.constraint_name ?? letter.sql_state})` : '';
    return letter?.state === 'discarded'
      ? `it could not be deleted${error}, and somebody decided that it stays`
      : `it could not be deleted${error} and is a dead letter${letter ? `: ${letter.attempts} tries, the next after ${utcInWords(letter.next_attempt_at)}` : ''}`;
  },
  marked: ({ declared, there }) =>
    there && isMarked({ declared, there } as RowFacts)
      ? strategyOf(declared).stays!.marked(there.marked!)
      : null,
  unnoticed: (facts) =>
    isPast(facts) && facts.judged!.unnoticed
      ? 'it is past its period, and its organization was not told of it in time'
      : null,
  rollout: ({ state, admission, declared }) => {
    const step = stepOf(admission.clean_runs);
    return state.last_reason === 'rollout' && declared.rollout && step !== null
      ? `the policy is new: ${rolloutMessage(step)}`
      : null;
  },
  cooling,
  referenced: ({ judged, declared }) => {
    if (judged?.stays?.reason !== 'referenced') return null;
    return judged.stays.by === tableLabel(declared.table)
      ? 'a row of its own table that would go with it may not go itself'
      : `a row of ${judged.stays.by} refers to it, or to a row that would go with it, and keeps it here`;
  },
  condition: (facts) =>
    isPast(facts) && !facts.judged!.meets
      ? 'it is past its period, and the condition of the policy is not true for it'
      : null,
  newest: (facts) =>
    facts.judged?.stays?.reason === 'newest'
      ? `it is past its period, and one of those that stay: ${newestInWords(facts.declared.keepAtLeast!)}`
      : null,
  one_of_period: (facts) =>
    facts.judged?.stays?.reason === 'one_of_period'
      ? `it is past its period, and the one of it that stays: ${thinInWords(facts.declared.thin!)}`
      : null,
  not_expired: (facts) =>
    facts.judged && facts.judged.expires_at !== null && facts.judged.past !== true && !isMarked(facts)
      ? `it expires at ${facts.judged.expires_at}`
      : null,
  no_clock: ({ there, policy, state }) =>
    there && there.clock === null
      ? `${clockInWords(policy.clock)} is not set, or no instant: it has no date, so it is never deleted${state.no_clock ? `; ${state.no_clock} such rows when last measured` : ''}`
      : null,
  unknown_rule: ({ judged }) =>
    judged?.unknown ? 'its organization has a tier no rule knows: kept, and reported' : null,
  for_ever: ({ there, judged }) => {
    if (!there || there.clock === null || judged?.unknown) return null;
    if (!judged) return 'its rule keeps forever, or no rule matches it';
    return judged.expires_at === null ? 'its rule keeps forever' : null;
  },
};

/** In another policy's table, or in one that has none. */
const rowBelow = ({ by }: { readonly by: string | null }): string =>
  by === null ? 'a row that would go with it' : `a row of ${by} that would go or change with it`;

function pausedBy({
  stopped_by,
  stopped_reason,
  stopped_at,
  paused_by,
  paused_reason,
  paused_at,
}: RowFacts['state']) {
  if (stopped_by !== null)
    return `all deletion was stopped by ${stopped_by}${since(stopped_at)}: "${stopped_reason ?? ''}"`;
  return paused_by === null
    ? null
    : `the policy was paused by ${paused_by}${since(paused_at)}: "${paused_reason ?? ''}"`;
}

const since = (at: string | null): string => (at === null ? '' : ` on ${utcInWords(at)}`);

/** The version as a whole, or a period that was shortened. */
function cooling({ admission, declared, policy, judged, now: at }: RowFacts): string | null {
  if (admission.waits_until !== null)
    return `this version of the policy reaches other rows than the one before and waits out the cooling-off until ${utcInWords(admission.waits_until)}`;
  if (!judged?.expires_at || judged.past === true) return null;
  const [now, soon] = [policy, declared].map((p) => p.rules.find((r) => r.label === judged.label)?.keepFor);
  if (soon?.seconds == null || now?.seconds == null || soon.seconds >= now.seconds) return null;
  if (Date.parse(judged.clock ?? '') + soon.seconds * 1000 > at.getTime()) return null;
  return `its shorter period of ${periodInWords(soon)} counts after the cooling-off; until then it is kept ${periodInWords(now)}`;
}
