/** Every mutant there is, by area. */
import { netMutants } from './list/net';
import { subjectMutants } from './list/subjects';
import type { Mutant } from './mutant';

export const mutants: readonly Mutant[] = [...netMutants, ...subjectMutants];
