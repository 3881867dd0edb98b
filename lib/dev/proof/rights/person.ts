/**
 * A person in every table of the example: by references of their own, through other tables, in a JSON payload, on the
 * blacklist, and with forty files in the store. Each row carries a mark that a scan finds without knowing the schema.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import type { LocalCloud } from '../../local-cloud';

export interface Person {
  readonly id: string;
  /** The id, the address and the name, and what rows that name none of them contain. */
  readonly marks: readonly string[];
  /** `schema.table` with rows of the person. */
  readonly tables: readonly string[];
  /** Keys of all rows of the person. */
  readonly rows: readonly string[];
  readonly files: readonly string[];
}

export const FILES = 40;
const ARTIFACTS = 15;

export async function plant(owner: Client, blob: LocalCloud['blob']): Promise<Person> {
  const id = randomUUID();
  const word = `mark${randomBytes(8).toString('hex')}`;
  const email = `${word}@example.com`;
  const rows: string[] = [id];
  const tables = new Set(['public.users']);
  const add = async (table: string, values: Record<string, unknown>): Promise<string> => {
    const names = Object.keys(values);
    const { rows: made } = await owner.query<{ id: string }>(
      `insert into ${table} (${names.join(', ')}) values (${names.map((_, i) => `$${i + 1}`).join(', ')}) returning id`,
      Object.values(values),
    );
    tables.add(`public.${table}`);
    rows.push(made[0]!.id);
    return made[0]!.id;
  };
  await owner.query('insert into users (id, email, name) values ($1, $2, $3)', [id, email, `Person ${word}`]);
  const organization = await add('organizations', { name: 'Theirs', owner_id: id });
  const mine = { user_id: id };
  const files = await filesOf(owner, { id, organization, word }, add);
  await add('quiz_responses', { ...mine, quiz: 'q', answers: JSON.stringify({ text: word }) });
  await add('magic_links', { ...mine, token_hash: word, issued_at: new Date() });
  await add('documents', { ...mine, title: word });
  await add('usage_events', {
    ...mine,
    organization_id: organization,
    kind: 'call',
    occurred_at: new Date(),
  });
  await add('orders', { ...mine, amount_cents: 100 });
  await add('consents', { ...mine, purpose: 'newsletter' });
  await add('email_blacklist', { email: email.toUpperCase(), reason: 'complaint' });
  await add('webhook_events', {
    provider: 'shop',
    kind: 'order.paid',
    status: 'processed',
    payload: JSON.stringify({ customer: { email: ` ${email} ` }, note: word }),
    received_at: new Date(),
  });
  const ticket = await add('support_tickets', { ...mine, topic: word });
  const first = await add('support_messages', { ticket_id: ticket, body: `one ${word}` });
  const second = await add('support_messages', { ticket_id: ticket, answers_id: first, body: `two ${word}` });
  await add('support_messages', { ticket_id: ticket, answers_id: second, body: `three ${word}` });
  await blob.putMany(
    files.map((pathname) => ({ pathname, content: word, uploadedAt: new Date(Date.now() - 3_600_000) })),
  );
  return { id, marks: [id, word], tables: [...tables].sort(), rows, files };
}

type Add = (table: string, values: Record<string, unknown>) => Promise<string>;

/** Rows that name files: some of the person's, some of rows reached through them. */
async function filesOf(
  owner: Client,
  { id, organization, word }: { id: string; organization: string; word: string },
  add: Add,
): Promise<string[]> {
  const files: string[] = [];
  const name = (folder: string) => {
    const path = `${folder}/${word}-${randomBytes(15).toString('hex')}.bin`;
    files.push(path);
    return path;
  };
  for (let i = 0; i < ARTIFACTS; i += 1) {
    const artifact = await add('artifacts', {
      organization_id: organization,
      user_id: id,
      kind: 'video_clip',
      storage_key: name('artifacts'),
      size_bytes: 10,
    });
    await add('artifact_files', { artifact_id: artifact, storage_key: name('artifacts'), size_bytes: 10 });
  }
  const pdf = await add('generated_pdfs', { user_id: id, file_url: name('pdfs'), file_bytes: 10 });
  await add('purchases', {
    user_id: id,
    generated_pdf_id: pdf,
    amount_cents: 100,
    currency: 'eur',
    paid_at: new Date(),
  });
  while (files.length < FILES) {
    const job = await add('render_jobs', {
      user_id: id,
      status: 'done',
      tmp_file_url: name('tmp'),
      tmp_file_bytes: 10,
    });
    await add('render_job_logs', { render_job_id: job, line: `step of ${word}` });
  }
  await owner.query('select 1');
  return files;
}
