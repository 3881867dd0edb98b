'use client';

/**
 * The only script of the console: asks how a run is every two seconds, while the page is looked at, and puts the answer where the
 * server had put the one before. Speaks at each 10 %. When the server does not answer, it says how old what is shown is.
 */
import { useEffect, useState } from 'react';
import type { Beat } from '@/lib/http/console/run';

const EVERY_MS = 2_000;
const OLD_MS = 4_500;

export function LiveRun({ id, first }: { id: string; first: Beat }) {
  const [{ beat, at }, setHeard] = useState({ beat: first, at: 0 });
  const [old, setOld] = useState(false);
  useEffect(() => {
    if (beat.ended) return;
    const ask = async () => {
      if (document.hidden) return;
      const answer = await fetch(`/runs/${id}/beat`, { cache: 'no-store' }).catch(() => null);
      if (answer?.ok) setHeard({ beat: (await answer.json()) as Beat, at: Date.now() });
      else if (answer?.status === 401) location.reload();
      setOld(!answer?.ok && Date.now() - at > OLD_MS);
    };
    const timer = setInterval(ask, EVERY_MS);
    return () => clearInterval(timer);
  }, [id, beat.ended, at]);
  // What only the server can say of a run that has ended: its record.
  useEffect(() => {
    if (beat.ended && !first.ended) location.reload();
  }, [beat.ended, first.ended]);
  const tenth = beat.share === null ? null : Math.floor(beat.share * 10) * 10;
  return (
    <div className="grid gap-2">
      <p>
        <strong className="text-run">
          <span aria-hidden="true">▶</span> {beat.word}
        </strong>{' '}
        {beat.sentence}
      </p>
      {beat.share !== null && (
        <progress value={beat.share} max={1} aria-label="How far this run is" className="h-3 w-full" />
      )}
      <p className="text-sm text-quiet">
        Batch {beat.batches.toLocaleString('en')}, as of {beat.at.slice(11, 19)} UTC
        {old && <strong className="text-warn"> ▲ The server does not answer: this is old.</strong>}
      </p>
      <p role="status" className="sr-only">
        {beat.ended ? beat.sentence : tenth ? `${tenth} % deleted` : ''}
      </p>
    </div>
  );
}
