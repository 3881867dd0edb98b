/** What an erasure leaves of the subject, table by table, with the ground the data map states. */
import type { Graph } from './graph';
import type { RetainedIn } from './result';

export const retainedOf = ({ tables }: Graph): RetainedIn[] =>
  tables.flatMap(({ label, retained }) => retained.map((r) => ({ table: label, ...r })));
