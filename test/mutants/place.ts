/** Finding and changing a mutant's place. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Mutant } from './mutant';

/** The file with the breakage in it. Throws, naming the mutant, when its place has moved or is not unique. */
export function mutated(mutant: Mutant, root = process.cwd()): string {
  const text = readFileSync(path.join(root, mutant.file), 'utf8');
  const places = text.split(mutant.find).length - 1;
  if (places !== 1) {
    throw new Error(
      `mutant ${mutant.id}: its place occurs ${places} times in ${mutant.file}; correct \`find\``,
    );
  }
  if (mutant.find === mutant.replace) throw new Error(`mutant ${mutant.id} changes nothing`);
  return text.replace(mutant.find, () => mutant.replace);
}
