/**
 * What an archive is: tables as gzip-compressed JSON Lines, files, and a manifest that names each with its SHA-256. The
 * manifest is written last: without it there is no archive, and its own SHA-256 is all that must be kept elsewhere.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ArchiveError } from '../../platform/errors';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().nonnegative();

const Column = z.object({
  name: z.string(),
  /** As PostgreSQL prints it, with its length. */
  type: z.string(),
  /** Its number in the table, which it keeps when it is renamed. */
  number: count.optional(),
  /** Made by the database, not by the writer. */
  generated: z.boolean().optional(),
});
export type Column = z.infer<typeof Column>;

const Part = z.object({
  /** `<schema>.<table>`. */
  table: z.string(),
  columns: z.array(Column),
  /** The table's number in its database; another database has others. */
  oid: z.string().optional(),
  /** Where it lies in the store, below the archive's prefix. */
  path: z.string(),
  rows: count,
  /** Compressed, as it lies in the store; `sha256` is over these. */
  bytes: count,
  sha256,
});
export type Part = z.infer<typeof Part>;

const ArchivedFile = z.object({
  /** Where it lay, and where its copy lies below the archive's prefix. */
  from: z.string(),
  path: z.string(),
  bytes: count,
  sha256,
  access: z.enum(['public', 'private']),
  contentType: z.string(),
});
export type ArchivedFile = z.infer<typeof ArchivedFile>;

export const Manifest = z.object({
  format: z.literal('lapse.archive/1'),
  id: z.string(),
  createdAt: z.iso.datetime(),
  /** What it is of and why: words and numbers of whoever wrote it. */
  about: z.record(z.string(), z.unknown()),
  tables: z.array(Part),
  files: z.array(ArchivedFile),
  /** Files that were named and are not in the store. */
  missing: z.array(z.string()),
});
export type Manifest = z.infer<typeof Manifest>;

export const manifestPath = (prefix: string): string => `${prefix}manifest.json`;
export const hashOf = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex');

/** Throws ArchiveError unless these bytes are the manifest of that hash. */
export function parsedManifest(content: Buffer, hash: string): Manifest {
  if (hashOf(content) !== hash)
    throw new ArchiveError('damaged', 'the manifest is not the one that was written');
  return Manifest.parse(JSON.parse(content.toString('utf8')));
}
