/** The columns that name a policy's files must be answered for by an index on their canonical form, whatever their fate. */

import { fileReferencesOf, judgeReferences, unfitReferences } from '../../files/references';
import type { Sql } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { Check } from './preflight-facts';

/** An expression: the columns of this policy, its dependants and those it shares files with that are not fit. */
export const fileFacts = (policy: Policy): Sql => unfitReferences(fileReferencesOf([policy]));

export const fileIndexes: Check = ({ facts }) => judgeReferences(facts.files);
