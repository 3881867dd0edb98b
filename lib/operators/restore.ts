/** Takes a soft deletion back while its grace period lasts (P8); the record and the chain's entry go with it. */

import { restoreRow } from '../engine/restoration';
import { RequestError } from '../platform/errors';
import { strategyOf } from '../policies/strategies';
import { type Acting, type Done, refusal } from './carry-out';
import { reachItem } from './reach';
import type { Written } from './subject';
import { knownPolicy } from './switches';

export async function restore(acting: Acting, row: { policy: string; key: Written }): Promise<Done> {
  const { services, operator, reason, token } = acting;
  knownPolicy(acting, row.policy);
  const policy = services.policies.find((p) => p.name === row.policy)!;
  const { name, table, key } = policy;
  if (strategyOf(policy).grace === null) {
    const marking = services.policies.filter((p) => strategyOf(p).grace !== null).map((p) => p.name);
    throw new RequestError(
      422,
      'not_restorable',
      `rows of "${name}" cannot be restored; policies that mark rows first: ${marking.join(', ') || 'none'}`,
      'policy',
    );
  }
  const target = { policy: name, table, columns: key.map((k) => k.column) };
  const { subjects } = await reachItem(services, 'key', row.key, [target], true);
  const order = { policy, rowKey: subjects[0]!, reason, actor: operator, token };
  const done = await restoreRow(services.deciding, order).catch((error: unknown) => {
    throw refusal(error);
  });
  const { entry, deletedAt, keepUntil } = done;
  services.log.info(
    { event: 'operator.acted', action: 'row.restored', operator, entry },
    `row.restored by ${operator}`,
  );
  return { entry, subject: order.rowKey, detail: { deleted_at: deletedAt, keep_until: keepUntil } };
}
