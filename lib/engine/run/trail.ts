/** The checkpoints of one pass. Each travels while the next batch runs; its answer is read before the one after. */
import { randomUUID } from 'node:crypto';
import { table } from '../../platform/sql';
import { DUE_CAP } from '../statement/drained';
import type { Leg } from '../statement/leg';
import type { Cursor } from './checkpoint';
import type { Run } from './execution';
import type { Work } from './work';

export class Trail {
  #traveling: Promise<boolean> = Promise.resolve(true);

  constructor(
    private readonly run: Run,
    private readonly work: Work,
    private readonly asOf: string,
    private readonly pass: string = randomUUID(),
  ) {}

  /** Where the pass continues: at this position of this leg, or at the leg's beginning. `leg`: for partitions continue by name. */
  leave(index: number, position: Cursor['position'], leg?: Leg): void {
    this.#traveling = this.run.session.save(this.run.keepsCursor ? this.#cursor(index, position, leg) : null);
    // The next caller that asks whether it arrived gets the error.
    this.#traveling.catch(() => undefined);
  }

  /** False: the lease is lost. */
  arrived(): Promise<boolean> {
    return this.#traveling;
  }

  #cursor(leg: number, position: Cursor['position'], walked?: Leg): Cursor {
    const { total } = this.work;
    const { id: runId, version, tally, services } = this.run;
    return {
      ...(walked?.leaf ? { leaf: table(walked.leaf) } : {}),
      pass: this.pass,
      asOf: this.asOf,
      version,
      leg,
      position,
      runId,
      processed: tally.deleted,
      total: total !== null && total <= DUE_CAP ? total : null,
      updatedAt: services.clock().toISOString(),
      kept: tally.kept,
    };
  }
}
