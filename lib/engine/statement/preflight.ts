/**
 * Is the database fit for this policy? Read from the catalogs by one statement in the run's first request,
 * judged here, and refused with the statement that fixes it, before the first delete (R13, DELETION §12).
 */

import { z } from 'zod';
import type { Problem } from '../../platform/errors';
import { contentsOf } from '../../policies/contents';
import type { PermanentTable, Policy } from '../../policies/contract';
import { goingDependants, goingFiles, ownFiles } from '../../policies/going';
import { strategyOf } from '../../policies/strategies';
import { contentPolicies } from './content-policies';
import { fileIndexes } from './fit-files';
import { nothingPermanent, triggers } from './preflight-along';
import { clockType, columnsExist, keys, strategyFits } from './preflight-columns';
import { checksOfContent } from './preflight-contents';
import { detachable } from './preflight-detach';
import { clockElsewhere } from './preflight-elsewhere';
import { Catalog, CatalogFacts, type Check } from './preflight-facts';
import { fragments, functions, gates, judgesExist, noOrphans } from './preflight-gates';
import { clockIndexes, referenceIndexes } from './preflight-indexes';
import { clockBelow } from './preflight-later';
import { lockable } from './preflight-places';
import { references, referencesOfErasure } from './preflight-references';
import { groups } from './preflight-spared';
import {
  counted,
  guarded,
  identified,
  kindsOfTables,
  noHeirs,
  noRules,
  rights,
  seenWhole,
  tablesExist,
} from './preflight-tables';

export { catalogFacts } from './preflight-catalog';
export type { Check };

/** Every one is asked, whatever the others say, so that one dry run tells all there is to do. */
const CHECKS: readonly Check[] = [
  kindsOfTables,
  lockable,
  noHeirs,
  seenWhole,
  noRules,
  rights,
  identified,
  columnsExist,
  clockType,
  clockElsewhere,
  clockBelow,
  strategyFits,
  keys,
  fragments,
  functions,
  clockIndexes,
  referenceIndexes,
  references,
  groups,
  detachable,
  fileIndexes,
  nothingPermanent,
  triggers,
  counted,
  guarded,
  noOrphans,
  judgesExist,
  gates,
];

/**
 * An erasure finds its rows by the subject, whatever their age. It locks a row before it looks for what still refers to it,
 * so a reference need not refuse by itself.
 */
export const CHECKS_OF_ERASURE: readonly Check[] = [
  ...CHECKS.filter(
    (check) => ![clockIndexes, clockType, clockElsewhere, clockBelow, groups, references].includes(check),
  ),
  referencesOfErasure,
];

/** Everything that keeps this policy from deleting, each with what to run. Empty: fit. */
export function judgeFacts(
  policy: Policy,
  raw: unknown,
  permanent: readonly PermanentTable[],
  checks: readonly Check[] = CHECKS,
): Problem[] {
  const catalog = new Catalog(policy, CatalogFacts.parse(raw), permanent);
  const absent = tablesExist(catalog);
  // Without its own table there is nothing to judge.
  const own = catalog.governed ? [...absent, ...checks.flatMap((check) => check(catalog))] : absent;
  const problems = [...own, ...judgeContents(policy, raw, permanent)];
  const reported = new Set<string>();
  return problems.filter(({ remedy, problem }) => {
    // One index may answer for several rules and foreign keys: run twice, its statement would make two.
    const statement = /^(CREATE|GRANT|SELECT) /.test(remedy) ? remedy : `${problem}\0${remedy}`;
    return !reported.has(statement) && reported.add(statement);
  });
}

const OfContents = z.object({ contents: z.array(z.unknown()).default([]) });

/** What is asked of a table whose rows go with their last reference: as of one that is governed, but for its clock. */
const CHECKS_OF_CONTENT = CHECKS_OF_ERASURE.filter(
  (check) =>
    ![keys, gates, judgesExist, fragments, functions, strategyFits, referencesOfErasure].includes(check),
);

function judgeContents(policy: Policy, raw: unknown, permanent: readonly PermanentTable[]): Problem[] {
  const { contents } = OfContents.parse(raw);
  return contentPolicies(policy).flatMap((content, i) => {
    const catalog = new Catalog(content, CatalogFacts.parse(contents[i]), permanent);
    const absent = tablesExist(catalog);
    if (!catalog.governed) return absent;
    const checks = [...CHECKS_OF_CONTENT, ...checksOfContent(policy, i)];
    return [...absent, ...checks.flatMap((check) => check(catalog))];
  });
}

/** Without a store, rows that name files are not deleted: their files would be orphaned. */
export function judgeStore(policy: Policy, hasStore: boolean): Problem[] {
  const names =
    ownFiles(policy).length +
    [...goingDependants(policy), ...contentsOf(policy)].flatMap((d) => goingFiles(d.files)).length;
  if (hasStore) return [];
  if (strategyOf(policy).archive !== null) {
    return [
      {
        problem: 'its rows are archived before they are deleted, and BLOB_READ_WRITE_TOKEN is not set',
        remedy: 'set BLOB_READ_WRITE_TOKEN to the token of a store that takes private files',
      },
    ];
  }
  if (names === 0) return [];
  return [
    {
      problem: 'its rows name files, and BLOB_READ_WRITE_TOKEN is not set',
      remedy: 'set BLOB_READ_WRITE_TOKEN to the token of the store that holds them',
    },
  ];
}
