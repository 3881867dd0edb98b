/**
 * The certificate of a finished erasure: what went, what stays and on which ground, what the check looked at. It names no person:
 * the subject is a keyed hash. It is bound to the audit chain by its own hash, which the entry of the end holds, and
 * signed (Ed25519, RFC 8032). Verified without a database by ./certificate-verify.
 */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { z } from 'zod';
import { RequestError } from '../platform/errors';
import { keyedHash, keyFor } from '../platform/keys';
import { maybeRow, query } from '../platform/query';
import { askOne } from '../platform/session';
import { sql } from '../platform/sql';
import type { Services } from '../services';
import type { Dead } from './archives/entomb';
import { type Checked, methodOf } from './check';
import type { RetainedIn } from './result';
import type { ErasureRecord, ErasureStep } from './store';

const FORMAT = 'lapse-erasure-certificate/1';
const PURPOSE = 'lapse.erasure/subject';

export interface Certificate {
  /** JSON of what is certified and of its entry in the chain; the signature covers exactly these bytes. */
  readonly text: string;
  /** Base64. */
  readonly signature: string;
  /** SPKI DER in base64. */
  readonly publicKey: string;
}

interface Certified {
  readonly request: Pick<ErasureRecord, 'id' | 'scope' | 'subject'>;
  readonly steps: readonly ErasureStep[];
  readonly retained: readonly RetainedIn[];
  readonly checked: Checked;
  readonly archived: Dead;
}

/** What is kept with the request when it ends; signed whenever it is asked for. */
export function certified(
  services: Services,
  { request, steps, retained, checked, archived }: Certified,
): string {
  const { id, scope, subject } = request;
  const [secret] = services.settings.rightsKeys;
  return JSON.stringify({
    format: FORMAT,
    installation: services.settings.namespace,
    request: id,
    scope,
    subject: secret === undefined ? null : keyedHash(keyFor(secret, PURPOSE), `${scope}:${subject}`),
    at: services.clock().toISOString(),
    tables: steps
      .filter((s) => s.deleted + s.dependants_deleted > 0)
      .map((s) => ({
        table: s.table ?? s.policy,
        action: s.action,
        rows: s.deleted,
        dependants: s.dependants_deleted,
        files: s.files,
        bytes: s.bytes,
      })),
    retained: retained.map(({ table, columns, ground, until }) => ({
      table,
      columns,
      ground,
      until,
      rows: Math.max(0, ...Object.values(checked.retained[table] ?? {})),
    })),
    // Rows of theirs in it are dead: no restore brings them back. Those that are left go when it is written anew.
    archives: { count: archived.archives, rowsLeft: archived.rows },
    check: {
      method: methodOf({ scope, id: subject }),
      tables: checked.tables,
      rows: checked.rows,
      files: checked.files,
      found: 0,
      // Not among those that were read: the 0 says nothing of them.
      notRead: checked.notRead,
    },
  });
}

const Kept = z.object({
  certificate: z.string().nullable(),
  n: z.coerce.number().nullable(),
  hash: z.string().nullable(),
});

const keptOf = (id: string) =>
  query(
    sql`select e.certificate, a.n::float8 as n, a.hash from retention.erasure e
      left join retention.audit_entry a on a.subject = e.id::text and a.action = 'erasure.done'
      where e.id = ${id}::uuid order by a.n desc limit 1`,
    maybeRow(Kept),
  );

/** The same bytes whenever it is asked for. Throws RequestError where there is none. */
export async function certificateOf({ reading, settings }: Services, id: string): Promise<Certificate> {
  const kept = await askOne(reading, keptOf(id), { statementMs: 5_000, readOnly: true });
  if (!kept) throw new RequestError(404, 'unknown', `there is no request ${id}`, 'id');
  const { certificate, n, hash } = kept;
  if (certificate === null || n === null) {
    throw new RequestError(409, 'not_done', 'a request has a certificate when it is done', 'id');
  }
  const { auditSigningKey } = settings;
  if (auditSigningKey === undefined) {
    throw new RequestError(409, 'no_key', 'LAPSE_AUDIT_SIGNING_KEY is not set: it signs certificates');
  }
  const text = JSON.stringify({ certificate, entry: { n, hash } });
  const key = createPrivateKey({ key: Buffer.from(auditSigningKey, 'base64'), format: 'der', type: 'pkcs8' });
  return {
    text,
    signature: sign(null, Buffer.from(text), key).toString('base64'),
    publicKey: createPublicKey(key).export({ format: 'der', type: 'spki' }).toString('base64'),
  };
}
