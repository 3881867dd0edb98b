/** Why was this kept or deleted? One box, any id: deleted, still here, going, or never seen; with what proves it. */
import type { Metadata } from 'next';
import { redirect } from 'next/navigation';
import { byHash, byId, hashesIn, type OnRecord, personOf } from '@/lib/http/console/people';
import { type Read, reading } from '@/lib/http/console/reading';
import { type Answer, answerFor } from '@/lib/operators/audit/answer';
import { answerAsText, answerInWords } from '@/lib/operators/audit/answer-words';
import { RequestError } from '@/lib/platform/errors';
import { Ask } from '../parts/ask';
import { Page, Section } from '../parts/frame';
import { Empty, Part } from '../parts/notes';
import { shown } from '../shown';
import { type Visit, visit } from '../visit';
import { AboutSomebody } from './about';
import { Facts } from './facts';

export const metadata: Metadata = { title: 'Answer' };

export default shown(async function Why({ searchParams }: PageProps<'/why'>) {
  const v = await visit('/why', searchParams, 'audit');
  const { id = '', table = '', person = '' } = v.asked;
  const hashes = personOf(v.services, id);
  if (hashes !== null && hashes.length > 0) redirect(`/why?person=${hashes.join('.')}`);
  return (
    <Page title="Why was this kept or deleted?" said={v.said} asOf={v.now}>
      <Section id="box" title="Ask">
        <Ask id={hashes === null ? id : ''} table={table} />
        <p className="text-sm text-quiet">
          The key of a row as the table prints it, or of several columns as a JSON array. An address of a
          person is looked up by its keyed hash only.
        </p>
      </Section>
      {hashes !== null && <NoKey />}
      {person !== '' && <OfPerson visit={v} person={person} />}
      {hashes === null && id !== '' && <OfId visit={v} id={id} table={table} />}
    </Page>
  );
});

const NoKey = () => (
  <Empty>
    An address is looked up by its keyed hash, and this deployment has no key for it: set LAPSE_RIGHTS_KEY.
  </Empty>
);

async function OfPerson({ visit: v, person }: { visit: Visit; person: string }) {
  const hashes = hashesIn(person);
  if (hashes === null)
    return <Empty>This is no keyed hash of an address. Ask with the address itself.</Empty>;
  const found = await reading(v.services, 'What is on record', () => byHash(v.services, hashes));
  return (
    <Part of={found}>
      {(record) => <AboutSomebody record={record} who="the person with this address" always />}
    </Part>
  );
}

/** What cannot be a key is a sentence, not a failure. */
type Asked = { readonly answer: Answer; readonly record: OnRecord } | { readonly refused: string };

async function asked({ services }: Visit, id: string, table: string): Promise<Asked> {
  try {
    const [answer, record] = await Promise.all([
      answerFor(services, { id, table: table || undefined }),
      byId(services, id),
    ]);
    return { answer, record };
  } catch (error) {
    if (error instanceof RequestError) return { refused: error.message };
    throw error;
  }
}

async function OfId({ visit: v, id, table }: { visit: Visit; id: string; table: string }) {
  const found: Read<Asked> = await reading(v.services, 'The answer', () => asked(v, id, table));
  return (
    <Part of={found}>
      {(value) =>
        'refused' in value ? (
          <p id="refused" role="alert" className="rounded-md border-l-4 border-bad bg-surface p-3">
            ✕ {value.refused}
          </p>
        ) : (
          <>
            <InWords answer={value.answer} mayExtend={v.who.may('operate')} />
            <AboutSomebody record={value.record} who={id} />
            <Keep answer={value.answer} id={id} table={table} />
          </>
        )
      }
    </Part>
  );
}

const MARKS = { deleted: '✓', kept: 'Ⅱ', going: '▶' } as const;

function InWords({ answer, mayExtend }: { answer: Answer; mayExtend: boolean }) {
  const { found, never } = answerInWords(answer);
  if (never) {
    return (
      <Section id="answer-1" title={`○ ${never.headline}`}>
        <p>{never.sentence}</p>
        <Facts facts={never.facts} />
      </Section>
    );
  }
  return found.map((f, i) => (
    // The order of one answer never changes on its page.
    <Section key={f.sentence} id={`answer-${i + 1}`} title={`${MARKS[f.kind]} ${f.headline}`}>
      <p>{f.sentence}</p>
      <Facts facts={f.facts} />
      {mayExtend && f.extendable && (
        <p>
          <a className="button" href={`/extensions/new?${new URLSearchParams(f.extendable)}`}>
            Extend…<span className="sr-only"> this row</span>
          </a>
        </p>
      )}
    </Section>
  ));
}

function Keep({ answer, id, table }: { answer: Answer; id: string; table: string }) {
  const query = new URLSearchParams({ id, ...(table ? { table } : {}) });
  return (
    <Section
      id="keep"
      title="To keep"
      acts={
        <>
          <a className="button" href={`/why/answer?${query}&format=text`}>
            As text
          </a>
          <a className="button" href={`/why/answer?${query}&format=json`}>
            JSON
          </a>
        </>
      }
    >
      <label className="grid gap-1">
        The answer as text, to copy
        <textarea readOnly rows={8} className="field font-mono text-sm" value={answerAsText(answer)} />
      </label>
    </Section>
  );
}
