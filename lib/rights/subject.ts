/** Whose data. */
export interface Subject {
  readonly scope: 'organization' | 'user';
  readonly id: string;
}
