/**
 * The route of one purpose of signed links: GET shows what the link would do and changes nothing, POST does it, once. The link is the
 * only secret: no cookie, no account, so a form on another site can do no more than whoever holds the link.
 */
import { limitRate } from '../operators/rate';
import { RequestError } from '../platform/errors';
import { type Link, LinkError, type Purpose, readLink } from '../rights/links';
import { type Services, services } from '../services';
import { answered, flushed, type Handler } from './answered';
import { answerPage, type Page } from './link-page';
import { urlOf } from './raw-url';
import { refusals } from './refusals';

/** A person opens a page a few times, and a scanner once; each costs a look at the database. */
const PER_MINUTE = 20;

export interface LinkAct {
  readonly purpose: Purpose;
  /** What would happen; changes nothing. Throws LinkError for what can no longer be done. */
  show(services: Services, link: Link): Promise<Page>;
  /** Does it: its first statement uses the link. Throws LinkError where the link does nothing. */
  act(services: Services, link: Link, correlationId: string): Promise<Page | Response>;
}

/** `script` names it in the log. */
export function linkRoute(
  script: string,
  { purpose, show, act }: LinkAct,
  provide: () => Services = services,
): { GET: Handler; POST: Handler } {
  const strangers = refusals();
  const route = (work: LinkAct['act']): Handler =>
    answered(script, provide, async ({ request, correlationId, services: made }) => {
      const s = made();
      try {
        const token = urlOf(request).searchParams.get('link') ?? '';
        const link = await read(s, token, purpose).catch((error) => strangers.refuse(error));
        await limitRate(s.redis, `link:${link.id}`, PER_MINUTE);
        const done = await flushed(() => work(s, link, correlationId));
        return done instanceof Response ? done : answerPage(done, correlationId);
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        s.log.info(
          { event: 'link.refused', correlation_id: correlationId, script, error_code: error.code },
          error.code,
        );
        return answerPage({ title: 'Nothing was done', text: [inWords(error)] }, correlationId, error.status);
      }
    });
  const closed =
    (handler: Handler): Handler =>
    async (request) => {
      const answer = await handler(request);
      if (!answer.headers.has(CONTENT)) answer.headers.set(CONTENT, NOTHING);
      return answer;
    };
  return { GET: closed(route((s, link) => show(s, link))), POST: closed(route(act)) };
}

/** What is no page needs nothing: next.config.ts leaves these routes to themselves. */
const [CONTENT, NOTHING] = ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"] as const;

async function read({ settings, clock }: Services, token: string, purpose: Purpose): Promise<Link> {
  if (settings.links === undefined) throw new LinkError(404, 'link_invalid', 'links are not set up here');
  return readLink(settings.links, token, purpose, clock());
}

const inWords = ({ message }: RequestError): string =>
  `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;
