/** What a shape has in it, so that the last lines say of each kind how often it came up and how often it went exactly. */
import type { Shape } from './shape';

export const KINDS = [
  'contents',
  'a hashed mask',
  'an archive',
  'periods of single organizations',
  'a clock in another table',
  'a hold below the governed table',
  'a hold on an organization or a person',
  'files below the governed table',
  'files that rows share',
] as const;
export type Kind = (typeof KINDS)[number];

export function kindsOf({ policy, tables, after }: Shape): Kind[] {
  const { strategy } = policy;
  const of = (t: { schema: string; name: string }) => `'${t.schema}.${t.name}'`.replaceAll("''", "'");
  const holds = after.filter((s) => s.startsWith('insert into retention.hold'));
  const named = (s: string) => tables.findIndex((t) => s.includes(of(t)));
  const shared = tables.filter((t) => t.rows.some((r) => t.file && r[t.file]?.endsWith('shared.bin')));
  const has: Record<Kind, boolean> = {
    contents: (policy.contents ?? []).length > 0,
    'a hashed mask':
      strategy?.kind === 'mask' && strategy.columns.some(({ to }) => to !== null && 'hash' in to),
    'an archive': strategy?.kind === 'archive',
    'periods of single organizations': after.some((s) =>
      s.startsWith('insert into retention.period_override'),
    ),
    'a clock in another table': policy.clock.in !== undefined,
    'a hold below the governed table': holds.some((s) => named(s) > 0),
    'a hold on an organization or a person': holds.some((s) => !s.includes("'item'")),
    'files below the governed table': (policy.dependants ?? []).some((d) => (d.files ?? []).length > 0),
    'files that rows share': shared.length > 0,
  };
  return KINDS.filter((kind) => has[kind]);
}

interface Counted {
  readonly kinds: readonly Kind[];
  readonly verdict: 'exact' | 'refused' | 'wrong';
}

/** One line a kind. */
export const countedByKind = (trials: readonly Counted[]): string[] =>
  KINDS.map((kind) => {
    const those = trials.filter((t) => t.kinds.includes(kind));
    const n = (verdict: Counted['verdict']) => those.filter((t) => t.verdict === verdict).length;
    return `with ${kind}: ${those.length} (${n('exact')} exact, ${n('refused')} refused, ${n('wrong')} wrong)`;
  });
