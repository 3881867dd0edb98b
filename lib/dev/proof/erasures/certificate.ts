/** The certificate of a finished erasure, verified as anybody can: its signature, the chain that names it, and its figures. */
import { z } from 'zod';
import { exportedEntry } from '../../../operators/audit/chain';
import { verify } from '../../../operators/audit/verify';
import { certificateOf } from '../../../rights/certificate';
import { verifyCertificate } from '../../../rights/certificate-verify';
import type { Services } from '../../../services';
import type { Truth } from './oracle';

const Certified = z.object({
  tables: z.array(z.object({ action: z.string(), rows: z.number(), dependants: z.number() })),
});

export async function certificateProblems(services: Services, id: string, truth: Truth): Promise<string[]> {
  const lines: string[] = [];
  const audit = await verify(services.reading, { each: (entry) => lines.push(exportedEntry(entry)) });
  const file = `${JSON.stringify(await certificateOf(services, id))}\n`;
  const { problems, certificate } = verifyCertificate(file, { chain: lines.join('') });
  // Holds and rights that were given past Lapse are no matter of this proof.
  const broken = audit.problems.filter((p) => p.n !== null);
  if (problems.length > 0 || broken.length > 0)
    return [
      ...broken.map((p) => `the audit: ${JSON.stringify(p)}`),
      ...problems.map((p) => `the certificate: ${p}`),
    ];
  const { tables } = Certified.parse(certificate);
  const sum = (is: boolean) =>
    tables.filter((t) => (t.action === 'delete') === is).reduce((n, t) => n + t.rows + t.dependants, 0);
  return [
    sum(true) === truth.gone.size
      ? ''
      : `the certificate says ${sum(true)} rows went, ${truth.gone.size} had to`,
    sum(false) === truth.changed.length
      ? ''
      : `the certificate says ${sum(false)} rows were changed, ${truth.changed.length} had to be`,
  ].filter((p) => p !== '');
}
