/** Which deployment this is, in words: an operator must never mistake one for another. */
import type { Settings } from '../../platform/settings';

type PlaceSettings = Pick<Settings, 'production' | 'environment' | 'dryRun' | 'dryRunBecause'>;

/** A preview shows what a branch would change; it may see production's database, so that nothing may be decided there. */
export const isPreview = ({ production, environment }: PlaceSettings): boolean =>
  !production && environment !== 'development';

export interface Place {
  /** As Vercel names it: production, preview, development, or a name of one's own. */
  readonly name: string;
  readonly kind: 'production' | 'preview' | 'development';
  /** Beside the name; null where runs delete. */
  readonly note: string | null;
}

export function placeOf(settings: PlaceSettings): Place {
  const { environment: name, production, dryRun, dryRunBecause } = settings;
  if (isPreview(settings)) {
    return { name, kind: 'preview', note: 'Preview: dry runs only. Nothing can be deleted here.' };
  }
  const kind = production ? 'production' : 'development';
  return {
    name,
    kind,
    note: dryRun ? `Every run is a dry run (${dryRunBecause}). Nothing is deleted.` : null,
  };
}
