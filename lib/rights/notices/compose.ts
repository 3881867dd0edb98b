/**
 * The message, in plain words, as text and as HTML that says the same: what goes and from when on, in the recipient's own
 * time zone, what keeps it or saves a copy of it, and how to get fewer of these. No picture, nothing that tells when it is read.
 */
import { createHash } from 'node:crypto';
import type { LinkSettings } from '../../platform/settings/links';
import { type Link, linkTo, type Purpose } from '../links';

export interface Told {
  readonly policy: string;
  /** What the organization calls the rows. */
  readonly called: string;
  readonly thresholdDays: number;
  readonly found: number;
  readonly kept: number;
  readonly more: boolean;
  readonly files: number;
  readonly bytes: number;
  readonly goesAt: Date;
  /** When the last of them goes, if nothing keeps it. */
  readonly lastAt: Date;
  readonly digest: string;
  readonly keepUntil: Date | null;
}

export interface Message {
  readonly id: string;
  readonly tenant: string;
  readonly recipient: string;
  readonly zone: string | null;
  readonly told: readonly Told[];
  readonly now: Date;
}

export interface Mail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly unsubscribe: string;
  /** Part of the Message-ID: the same message sent again has the same. */
  readonly sha256: string;
}

const DAY_MS = 86_400_000;
/** Behind the last deletion nothing is left to save or to keep; half a year lets a recipient unsubscribe from an old message. */
const UNSUBSCRIBE_DAYS = 180;

export async function compose(links: LinkSettings, message: Message): Promise<Mail> {
  const say = wordsIn(message.zone);
  const parts = await Promise.all(message.told.map((t) => partOf(links, message, t, say)));
  const expiresAt = new Date(message.now.getTime() + UNSUBSCRIBE_DAYS * DAY_MS);
  const unsubscribe = await linkTo(
    links,
    '/api/notices/unsubscribe',
    linkOf(message, 'notice.unsubscribe', { recipient: message.recipient }, expiresAt),
  );
  const first = new Date(Math.min(...message.told.map((t) => t.goesAt.getTime())));
  const subject = `Data of your organization will be deleted from ${say.day(first)} on`;
  const intro = 'How long data is kept is over soon for some of what your organization has stored.';
  const end = [
    `Times are given in the zone ${say.zone}. Each link works once.`,
    'What someone has to be told before it is deleted is sent in any case. For no other messages like this one:',
  ];
  const lines = parts.flatMap((p) => [p.heading, p.text, ...p.links.map((l) => `${l.label}: ${l.url}`), '']);
  const text = [intro, '', ...lines, ...end, unsubscribe, ''].join('\n');
  const html = htmlOf(subject, intro, parts, [end[0]!, end[1]!], unsubscribe);
  return { subject, text, html, unsubscribe, sha256: createHash('sha256').update(text).digest('hex') };
}

interface Part {
  readonly heading: string;
  readonly text: string;
  readonly links: readonly { readonly label: string; readonly url: string }[];
}

async function partOf(links: LinkSettings, message: Message, t: Told, say: Say): Promise<Part> {
  const items = `${t.more ? 'More than ' : ''}${count(t.found, 'item')}`;
  const files = t.files > 0 ? ` with ${count(t.files, 'file')} (${megabytes(t.bytes)})` : '';
  const kept =
    t.kept > 0
      ? ` ${count(t.kept, 'more item')} as old are kept for now, and go when what keeps them ends.`
      : '';
  const about = {
    notice: message.id,
    policy: t.policy,
    threshold: String(t.thresholdDays),
    digest: t.digest,
  };
  const to = async (path: string, purpose: Purpose): Promise<string> =>
    linkTo(links, path, linkOf(message, purpose, about, t.lastAt));
  return {
    heading: t.called,
    text: `${items}${files} will be deleted from ${say.instant(t.goesAt)} on.${kept}`,
    links: [
      { label: 'Download a copy', url: await to('/api/notices/download', 'notice.download') },
      ...(t.keepUntil === null
        ? []
        : [
            {
              label: `Keep until ${say.instant(t.keepUntil)}`,
              url: await to('/api/notices/extend', 'notice.extend'),
            },
          ]),
    ],
  };
}

/** The same message sent again has the same links: each of them works once, in whichever copy. */
function linkOf(
  message: Message,
  purpose: Purpose,
  about: Readonly<Record<string, string>>,
  expiresAt: Date,
): Link {
  const { id: notice, tenant } = message;
  const hash = createHash('sha256')
    .update(JSON.stringify([notice, purpose, about]))
    .digest('hex');
  const id = `${hash.slice(0, 8)}-${hash.slice(8, 12)}-4${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
  return { id, purpose, subject: { scope: 'organization', id: tenant }, about, expiresAt };
}

interface Say {
  readonly zone: string;
  day(at: Date): string;
  instant(at: Date): string;
}

/** UTC for a zone that is not known. */
export function wordsIn(zone: string | null): Say {
  try {
    return sayIn(zone ?? 'UTC');
  } catch {
    return sayIn('UTC');
  }
}

function sayIn(timeZone: string): Say {
  const day = new Intl.DateTimeFormat('en-GB', { timeZone, dateStyle: 'long' });
  const instant = new Intl.DateTimeFormat('en-GB', { timeZone, dateStyle: 'long', timeStyle: 'short' });
  const offset = new Intl.DateTimeFormat('en-GB', { timeZone, timeZoneName: 'shortOffset' });
  const inWords = (at: Date): string => {
    const [words, nameOf] = [instant.format(at), () => offset.formatToParts(at).find(isOffset)!.value];
    const isTwice = BACK_MINUTES.some((m) => instant.format(at.getTime() + m * 60_000) === words);
    return isTwice ? `${words} (${nameOf()})` : words;
  };
  return { zone: timeZone, day: (at) => day.format(at), instant: inWords };
}

/** By so much clocks are set back: what they showed before, they show again. Half an hour on Lord Howe Island. */
const BACK_MINUTES = [-60, -30, 30, 60];
const isOffset = ({ type }: Intl.DateTimeFormatPart): boolean => type === 'timeZoneName';

const count = (n: number, unit: string): string =>
  `${n.toLocaleString('en-US')} ${unit}${n === 1 ? '' : 's'}`;
const megabytes = (bytes: number): string =>
  `${(bytes / 1_000_000).toLocaleString('en-US', { maximumFractionDigits: 1 })} MB`;

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string): string => text.replace(/[&<>"]/g, (c) => ENTITIES[c]!);

function htmlOf(
  subject: string,
  intro: string,
  parts: readonly Part[],
  [zone, fewer]: readonly [string, string],
  unsubscribe: string,
): string {
  const link = (url: string, label: string): string => `<a href="${escaped(url)}">${escaped(label)}</a>`;
  const sections = parts.map(
    (p) => `<h2>${escaped(p.heading)}</h2>
<p>${escaped(p.text)}</p>
<ul>${p.links.map((l) => `<li>${link(l.url, l.label)}</li>`).join('')}</ul>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(subject)}</title></head><body>
<p>${escaped(intro)}</p>
${sections.join('\n')}
<p>${escaped(zone)}</p>
<p>${escaped(fewer)} ${link(unsubscribe, 'unsubscribe')}</p>
</body></html>
`;
}
