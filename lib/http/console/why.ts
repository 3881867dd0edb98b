/** The answer to "why was this kept or deleted?", as JSON or as text: what the page says, to keep. */
import { answerFor } from '../../operators/audit/answer';
import { answerAsText } from '../../operators/audit/answer-words';
import { RequestError } from '../../platform/errors';
import type { Services } from '../../services';
import { answerFile, fileRoute } from './file';

/** GET with `id`, and `table` where one is meant; `format` is json or text. */
export const answerRoute = (provide?: () => Services) =>
  fileRoute(
    'audit',
    async (s, asked) => {
      const id = asked.get('id') ?? '';
      const format = asked.get('format') ?? 'json';
      if (format !== 'json' && format !== 'text')
        throw new RequestError(400, 'bad_parameter', 'format must be json or text', 'format');
      const answer = await answerFor(s, { id, table: asked.get('table') || undefined });
      if (format === 'text') return answerFile(answerAsText(answer), 'text/plain; charset=utf-8');
      return answerFile(JSON.stringify(answer), 'application/json');
    },
    provide,
  );
