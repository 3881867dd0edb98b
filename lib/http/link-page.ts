/**
 * The page that a signed link opens: plain words, one button, no script. It is shown to whoever follows the link, mail
 * scanners too, so it only says what would happen; the button sends the same address as a POST, and only that acts.
 */
import { createHash } from 'node:crypto';

export interface Page {
  readonly title: string;
  /** Paragraphs of plain text. */
  readonly text: readonly string[];
  /** What the button says; none: nothing is left to do. */
  readonly button?: string;
}

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:3em auto;padding:0 1em}button{font:inherit;padding:.6em 1.2em}';

/** No script, no picture, no other origin, no frame: a form back to this address, and this one style. */
const CONTENT_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escaped = (text: string): string => text.replace(/[&<>"']/g, (c) => ENTITIES[c]!);

export function answerPage({ title, text, button }: Page, correlationId: string, status = 200): Response {
  const form = button ? `<form method="post"><button>${escaped(button)}</button></form>\n` : '';
  const body = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex"><title>${escaped(title)}</title><style>${STYLE}</style></head>
<body><main><h1>${escaped(title)}</h1>
${text.map((line) => `<p>${escaped(line)}</p>\n`).join('')}${form}</main></body></html>
`;
  return new Response(body, {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': CONTENT_POLICY,
      'cache-control': 'no-store',
      'x-correlation-id': correlationId,
    },
  });
}
