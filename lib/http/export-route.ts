/**
 * Copies of what is held about one subject. The operators' door: POST asks for one, makes a new link or takes one back, GET lists
 * them; opened by an operator's own token only. The person's door: a signed link, which shows what it is and sends it once.
 */
import { Readable } from 'node:stream';
import { z } from 'zod';
import { readStream } from '../files/archive/store';
import { limitRate } from '../operators/rate';
import { MAX_DURATION_SECONDS } from '../platform/jobs';
import { exportSubject, linkExport, withdrawExport } from '../rights/export/export';
import { prefixOf, tarPath } from '../rights/export/pack';
import { type Export, fetchExport, listExports, readExport } from '../rights/export/store';
import { type Link, LinkError, refuseUsed } from '../rights/links';
import { type Services, services } from '../services';
import { answerJson } from './answer';
import type { Handler } from './answered';
import { checked, reason } from './asked';
import { readJson } from './body';
import { deadlineOf } from './deadline';
import type { Page } from './link-page';
import { linkRoute } from './link-route';
import { operatorRoute } from './operator-route';

/** Two ids and a reason of 500 characters. */
const MOST_BYTES = 8_192;
const PER_MINUTE = 20;

const id = z
  .string()
  .min(1, 'must not be empty')
  .max(200, 'must be at most 200 characters')
  .regex(/^[^\p{C}]+$/u, 'must not hold control or invisible characters');
const Asked = z
  .strictObject({
    action: z.literal('request', { error: 'must be request, link or withdraw' }).default('request'),
    organization: id.optional(),
    user: id.optional(),
    reason,
  })
  .refine((b) => (b.organization === undefined) !== (b.user === undefined), {
    message: 'name either an organization or a user',
    path: ['organization'],
  });
const Decided = z.strictObject({
  action: z.enum(['link', 'withdraw']),
  id: z.uuid('must be the id of the export, a UUID'),
  reason,
});

export const exportRoute = (provide: () => Services = services): { GET: Handler; POST: Handler } => ({
  GET: operatorRoute(async (s) => ({ entries: await listExports(s.reading) }), provide, 'export', 'audit'),
  POST: operatorRoute(
    async (s, operator, request, { correlationId, token, demand }) => {
      demand('operate');
      await limitRate(s.redis, `export:${operator}`, PER_MINUTE);
      const body = await readJson(request, { mostBytes: MOST_BYTES });
      const deadline = deadlineOf(s.clock(), MAX_DURATION_SECONDS, [s.settings.maxDurationSeconds]);
      const call = { actor: operator, token, correlationId, deadline };
      if (body.action === 'link') return linkExport(s, { ...call, ...checked(Decided, body) });
      if (body.action === 'withdraw') return withdrawExport(s, { ...call, ...checked(Decided, body) });
      const { user, organization, reason: why } = checked(Asked, body);
      const scope = organization ? ('organization' as const) : ('user' as const);
      const subject = { scope, id: (organization ?? user)! };
      const done = await exportSubject(s, { ...call, subject, reason: why });
      return answerJson(done, correlationId, done.link === null ? 202 : 200);
    },
    provide,
    'export',
  ),
});

export const downloadRoute = (provide: () => Services = services): { GET: Handler; POST: Handler } =>
  linkRoute('export', { purpose: 'export.download', show, act }, provide);

const expired = (): LinkError => new LinkError(410, 'link_expired', 'this link has expired');

/** Throws LinkError where there is nothing to fetch any more. */
async function fetchable(s: Services, link: Link): Promise<Export> {
  const it = await readExport(s.database, link.about.export ?? '');
  const isThere = it !== null && it.state === 'written' && it.expires_at > s.clock();
  if (!isThere || it.subject !== link.subject.id || it.scope !== link.subject.scope) throw expired();
  return it;
}

async function show(s: Services, link: Link): Promise<Page> {
  const { row_count: rows, file_count: files, byte_count: bytes } = await fetchable(s, link);
  const size = Math.max(1, Math.ceil((bytes ?? 0) / 1_000_000));
  return {
    title: 'Your data',
    text: [
      `Everything we hold about you: ${rows} entries and ${files} files, about ${size} MB, as one tar file.`,
      'The button downloads it. It works once; ask us for another link if the download breaks off.',
    ],
    button: 'Download',
  };
}

async function act(s: Services, link: Link, correlationId: string): Promise<Response> {
  const { id: named, byte_count: bytes } = await fetchable(s, link);
  const { blob } = s;
  if (!blob) throw expired();
  refuseUsed(await fetchExport(s.database, link, named));
  const content = readStream({ blob, backoff: s.backoff }, tarPath(prefixOf(s, named)));
  return new Response(Readable.toWeb(Readable.from(content)) as ReadableStream<Uint8Array>, {
    headers: {
      'content-type': 'application/x-tar',
      'content-disposition': 'attachment; filename="your-data.tar"',
      'content-length': String(bytes),
      'cache-control': 'no-store',
      'x-correlation-id': correlationId,
    },
  });
}
