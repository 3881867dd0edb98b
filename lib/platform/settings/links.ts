/**
 * What signed links are made with (lib/rights/links.ts): a key and the address that they lead to. Where a policy declares
 * notices, or exports are asked for, both are needed; without them no link is made and none is accepted.
 */
import { z } from 'zod';
import { isPrivate } from '../transport';

const key = z
  .string()
  .regex(/^[0-9a-f]{64}$/i, 'must be 64 hexadecimal digits: make one with openssl rand -hex 32')
  .optional();

export const linkEnvironment = {
  LAPSE_LINK_KEY: key,
  /** Links that were signed with it still count while it is set. */
  LAPSE_LINK_KEY_PREVIOUS: key,
  /** Where people reach this installation. */
  LAPSE_URL: z
    .url({ protocol: /^https?$/, error: 'must be an http(s) URL' })
    .refine(
      isPrivate,
      'must begin with https://: links lead to what only their recipient may see (http:// only on this machine)',
    )
    .transform((url) => url.replace(/\/+$/, ''))
    .optional(),
};

export interface LinkSettings {
  /** The key that signs first; each of them is accepted. */
  readonly keys: readonly string[];
  readonly url: string;
}

const Shape = z.object(linkEnvironment);

/** `problems` are added to those of all settings. */
export function linkSettings(environment: z.output<typeof Shape>): {
  settings: LinkSettings | undefined;
  problems: string[];
} {
  const { LAPSE_LINK_KEY: current, LAPSE_LINK_KEY_PREVIOUS: previous, LAPSE_URL: url } = environment;
  return {
    problems: [
      ...((current === undefined) !== (url === undefined)
        ? ['LAPSE_LINK_KEY and LAPSE_URL must be set together']
        : []),
      ...(previous !== undefined && current === undefined
        ? ['LAPSE_LINK_KEY_PREVIOUS is for a key that is being changed: set LAPSE_LINK_KEY, or leave it out']
        : []),
    ],
    settings:
      current !== undefined && url !== undefined
        ? { keys: [current, ...(previous === undefined ? [] : [previous])], url }
        : undefined,
  };
}
