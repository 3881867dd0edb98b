/** The head of a page, what the last act answered, and its parts. */
import type { ReactNode } from 'react';
import type { Said } from '@/lib/http/console/said';
import { Time } from './time';

export function Page(props: {
  title: string;
  said: Said | null;
  /** When what is shown was read. */
  asOf?: Date;
  /** Beside the title: what one can do with all of it. */
  acts?: ReactNode;
  children: ReactNode;
}) {
  const { title, said, asOf, acts, children } = props;
  return (
    <div className="grid gap-6">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <h1 className="mr-auto">{title}</h1>
        {asOf && (
          <span className="text-sm text-quiet">
            as of <Time at={asOf} seconds />
          </span>
        )}
        {acts && <div className="flex flex-wrap gap-2">{acts}</div>}
      </div>
      {said && <Answer said={said} />}
      {children}
    </div>
  );
}

/** Spoken by a screen reader when the page comes. */
function Answer({ said }: { said: Said }) {
  return (
    <p
      id="said"
      role={said.done ? 'status' : 'alert'}
      className={`rounded-lg border-l-4 bg-surface p-3 ${said.done ? 'border-good' : 'border-bad'}`}
    >
      {said.done ? '✓ ' : '✕ '}
      {said.done ? said.text : `Not done: ${said.text}`}
    </p>
  );
}

export function Section(props: {
  /** Of the heading, for links to it. */
  id: string;
  title: string;
  acts?: ReactNode;
  children: ReactNode;
}) {
  const { id, title, acts, children } = props;
  return (
    <section aria-labelledby={id} className="grid min-w-0 gap-3 rounded-lg border border-line bg-surface p-4">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <h2 id={id} className="mr-auto">
          {title}
        </h2>
        {acts}
      </div>
      {children}
    </section>
  );
}
