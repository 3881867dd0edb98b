/** The runs of an adopted policy through the app: dry, approved where the guard asks for it, and again until nothing is left. */
import { createHash, randomBytes } from 'node:crypto';
import type { RunResult } from '../../../engine/run/result';
import type { Policy } from '../../../policies/contract';
import type { App } from '../../demo/app';

/** Two operators: who asks for a dry run does not approve it. */
export class Operators {
  readonly #tokens = new Map(['asker', 'approver'].map((name) => [name, randomBytes(24).toString('hex')]));

  /** As LAPSE_OPERATORS has them. */
  get list(): string {
    return [...this.#tokens]
      .map(([name, token]) => `${name}:${createHash('sha256').update(token).digest('hex')}`)
      .join(',');
  }

  async approve(app: App, policy: string, digest: string): Promise<void> {
    const response = await fetch(`${app.url}/api/control`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.#tokens.get('approver')}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        action: 'approval.give',
        policy,
        digest,
        reason: 'first clean-up after adoption',
      }),
    });
    if (!response.ok)
      throw new Error(`the approval was answered ${response.status}: ${await response.text()}`);
  }
}

export interface Drained {
  readonly dry: RunResult;
  readonly runs: readonly RunResult[];
  readonly approvals: number;
}

/** More than the rollout's steps and a few approvals would be a circle. */
const MOST_RUNS = 12;

/** `onRun`: after each run, with whether it was the first that deleted something. */
export async function drain(
  app: App,
  operators: Operators,
  policy: Policy,
  onRun: (run: RunResult) => void,
): Promise<Drained> {
  const dry = await app.call(policy.name, policy.schedule.run, { dryRun: '1' });
  const runs: RunResult[] = [];
  let approvals = 0;
  while (runs.length < MOST_RUNS) {
    const run = await app.call(policy.name, policy.schedule.run);
    runs.push(run);
    onRun(run);
    if (run.outcome === 'succeeded') break;
    if (run.outcome === 'errored') throw new Error(`${policy.name}: ${run.message}`);
    if (run.reason !== 'guarded' && run.reason !== 'rollout') continue;
    const preview = await app.call(policy.name, policy.schedule.run, { dryRun: '1' });
    const digest = preview.preview?.approvable?.digest;
    if (digest === undefined)
      throw new Error(`${policy.name}: its dry run cannot be approved: ${preview.message}`);
    await operators.approve(app, policy.name, digest);
    approvals += 1;
  }
  return { dry, runs, approvals };
}
