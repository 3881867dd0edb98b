/** The fields of a form that was sent, by name: texts only, each once, of a bounded size. */
import { RequestError } from '../../platform/errors';
import { readBytes } from '../body';

export type Fields = Readonly<Record<string, string>>;

/** Throws RequestError 400, 408 or 413. */
export async function readForm(request: Request): Promise<Fields> {
  const type = request.headers.get('content-type') ?? '';
  if (!/^application\/x-www-form-urlencoded\b/i.test(type)) {
    throw new RequestError(400, 'not_a_form', 'send a form of the console');
  }
  const text = (await readBytes(request.body)).toString('utf8');
  const fields = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text)) {
    if (fields.has(name)) throw new RequestError(400, 'bad_field', `${name} is given twice`, name);
    fields.set(name, value);
  }
  return Object.fromEntries(fields);
}
