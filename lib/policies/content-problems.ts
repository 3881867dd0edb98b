/** What cannot be exact of what the rows refer to, each problem naming its field. */
import { type KeyColumn, type TableName, tableLabel } from '../platform/sql';
import { sameTable } from './hanging';
import type { Strategy } from './strategies/strategy';

interface Referring {
  readonly table: TableName;
  readonly columns: readonly string[];
}
interface Content {
  readonly table: TableName;
  readonly key: readonly KeyColumn[];
  readonly references: readonly (readonly string[])[];
  readonly referredBy?: readonly Referring[] | undefined;
  readonly sharedWith: readonly Referring[];
}
interface Declared {
  readonly table: TableName;
  readonly dependants: readonly { readonly table: TableName; readonly fate: string }[];
  readonly contents?: readonly Content[] | undefined;
  readonly partitioned?: unknown;
  readonly notice?: { readonly requiredDays?: number | undefined } | undefined;
}
type How = Pick<Strategy<unknown>, 'stays' | 'archive' | 'grace' | 'words'>;

export function contentProblems(policy: Declared, how: How): string[] {
  const contents = policy.contents ?? [];
  if (contents.length === 0) return [];
  const taken = [policy, ...policy.dependants, ...contents];
  return [
    ...contents.flatMap((content, i) => [
      ...lengths(content, `contents.${i}`),
      ...(taken.filter((t) => sameTable(t.table, content.table)).length > 1
        ? [
            `contents.${i}.table: ${tableLabel(content.table)} stands here twice; list all references of the rows in one entry`,
          ]
        : []),
      ...referredBy(policy, content, `contents.${i}`),
      ...neverEnds(content, how, `contents.${i}`),
    ]),
    ...(how.archive
      ? [
          'contents: an archive does not hold them, for whether one goes is known only when the rows are deleted; leave them out, or delete without an archive',
        ]
      : []),
    ...(policy.partitioned
      ? [
          'contents: not of a partitioned table, whose rows are deleted partition by partition while others may refer to the same content; give the contents a policy of their own',
        ]
      : []),
    ...(policy.notice?.requiredDays === undefined
      ? []
      : ['contents: not with notice.requiredDays, by which rows of one content go at different times']),
  ];
}

function lengths(content: Content, field: string): string[] {
  const lists = [
    ...content.references,
    ...[...(content.referredBy ?? []), ...content.sharedWith].map((r) => r.columns),
  ];
  return lists.every((columns) => columns.length === content.key.length)
    ? []
    : [`${field}.references: each must list as many columns as its key has`];
}

const referredBy = (policy: Declared, content: Content, field: string): string[] =>
  (content.referredBy ?? []).flatMap(({ table }, j) => {
    if (sameTable(table, policy.table))
      return [`${field}.referredBy.${j}: columns of the governed table itself stand in references`];
    return policy.dependants.some((d) => d.fate === 'delete' && sameTable(d.table, table))
      ? []
      : [
          `${field}.referredBy.${j}: rows of ${tableLabel(table)} do not go; name it in sharedWith, or declare it in dependants with fate 'delete'`,
        ];
  });

/** Rows that are marked first let go of it with their purge. */
function neverEnds(content: Content, { stays, grace, words }: How, field: string): string[] {
  const below = content.referredBy ?? [];
  if (content.references.length + below.length === 0)
    return [`${field}.references: name the columns that refer to it, here or in referredBy`];
  const empties = stays?.empties ?? [];
  const ends =
    stays === null ||
    grace !== null ||
    (stays.takesAlong && below.length > 0) ||
    content.references.some((columns) => columns.some((c) => empties.includes(c)));
  return ends
    ? []
    : [
        `${field}: rows that stay refer to it; ${words.noun} lets none go, unless it sets the reference to null`,
      ];
}
