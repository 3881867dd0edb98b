/**
 * What the catalogs say of every table a policy touches: the form of the preflight's one statement, and the
 * questions the checks ask of it. A partitioned table is known by its root; its partitions are its parts.
 */
import { z } from 'zod';
import { Unfit } from '../../files/references';
import type { Problem } from '../../platform/errors';
import { table, tableLabel } from '../../platform/sql';
import type { Dependant, PermanentTable, Policy } from '../../policies/contract';
import { goingDependants, rowsLeave } from '../../policies/going';
import { isDirect, parentTable, refersTo } from '../../policies/hanging';
import { Partitioning } from './fit-partitions';

const Index = z.object({
  /** In order; an expression is ''. */
  columns: z.array(z.string()),
  partial: z.string().nullable(),
  unique: z.boolean(),
  method: z.string(),
});
export type Index = z.infer<typeof Index>;

const Trigger = z.object({
  name: z.string(),
  /** Of its function. */
  schema: z.string(),
  function: z.string(),
  each_row: z.boolean(),
  on: z.array(z.enum(['insert', 'update', 'delete'])),
  /** `update of` these columns; empty: of any. */
  columns: z.array(z.string()),
  conditional: z.boolean(),
});
export type Trigger = z.infer<typeof Trigger>;

const Column = z.object({
  /** As PostgreSQL prints it, and without its length. */
  type: z.string(),
  plain: z.string(),
  type_oid: z.string(),
  base_oid: z.string(),
  /** The same, below every domain. */
  base: z.string(),
  not_null: z.boolean(),
  may_update: z.boolean(),
  /** Made by the database: generated or identity. */
  generated: z.boolean(),
  /** Of a unique index, also within an expression. */
  unique: z.boolean(),
  /** Of the primary key: it can never be NULL. */
  primary: z.boolean(),
  /** An index answers for the canonical form of the files it names. */
  names_files: z.boolean(),
  /** CHECK (c), foreign keys of its own (f), exclusions (x). */
  constraints: z.array(z.object({ name: z.string(), kind: z.string() })),
});
export type Column = z.infer<typeof Column>;

const Relation = z.object({
  oid: z.string(),
  root: z.string(),
  schema: z.string(),
  name: z.string(),
  kind: z.string(),
  /** How many tables it and its partitions are; of a partition, those of its root. */
  parts: z.coerce.number(),
  /** Tables that inherit from it without being its partitions. */
  has_heirs: z.boolean(),
  /** Row-level security applies to this role. */
  rls: z.boolean(),
  rules: z.array(z.object({ name: z.string(), on: z.enum(['select', 'update', 'insert', 'delete']) })),
  may: z.object({ use: z.boolean(), select: z.boolean(), delete: z.boolean(), update: z.boolean() }),
  /** Published without an identity: PostgreSQL refuses each deletion. */
  unidentified: z.boolean(),
  columns: z.record(z.string(), Column),
  indexes: z.array(Index),
  triggers: z.array(Trigger),
});
export type Relation = z.infer<typeof Relation>;

const ForeignKey = z.object({
  name: z.string(),
  /** The table it stands on, and that table's root. */
  at: z.string(),
  from: z.string(),
  columns: z.array(z.string()),
  to: z.string(),
  to_columns: z.array(z.string()),
  /** a: no action, r: restrict, c: cascade, n: set null, d: set default. */
  on_delete: z.enum(['a', 'r', 'c', 'n', 'd']),
});
export type ForeignKey = z.infer<typeof ForeignKey>;

const Fragment = z.object({
  state: z.string().nullable().default(null),
  message: z.string().nullable().default(null),
  /** What it reads, by oid, with the name it has there. */
  reads: z.array(z.object({ oid: z.string(), root: z.string(), alias: z.string() })),
  /** Functions that are not PostgreSQL's own and not immutable. */
  calls: z.array(z.string()),
});

const PlanNode = z.object({
  node: z.string(),
  /** What is asked of each row that was read; null: nothing. */
  filter: z.string().nullable(),
});
export type PlanNode = z.infer<typeof PlanNode>;

export const CatalogFacts = z.object({
  role: z.string(),
  /** By it the database counts what a batch deletes. */
  track_counts: z.boolean(),
  /** Oids of the declared tables, in the order they were asked for; null: there is none of that name. */
  declared: z.array(z.object({ oid: z.string(), root: z.string() }).nullable()),
  relations: z.array(Relation),
  references: z.array(ForeignKey),
  /** Oid of each declared type; null: there is none of that name. */
  types: z.record(z.string(), z.string().nullable()),
  fragments: z.record(z.string(), Fragment),
  /** The nodes in the plan of each rule's walk; of tenants, of one. Empty: it cannot be planned. */
  walks: z.record(z.string(), z.array(PlanNode)),
  /** Columns naming files that no index answers for. */
  files: Unfit,
  /** Only of a partitioned policy. */
  partitioning: Partitioning.nullable().default(null),
});
export type CatalogFacts = z.infer<typeof CatalogFacts>;

/** A declared dependant with its table and that of what it hangs on, where they exist. */
export interface Child {
  readonly declared: Dependant;
  readonly relation: Relation | null;
  readonly parent: Relation | null;
  /** The columns of it that the dependant refers to. */
  readonly refersTo: readonly string[];
}

/** The facts as the checks read them. */
export class Catalog {
  readonly #byOid: ReadonlyMap<string, Relation>;
  readonly governed: Relation | null;
  readonly children: readonly Child[];
  /** Those whose rows go with the governed row, and are there. */
  readonly going: readonly { declared: Dependant; relation: Relation }[];

  constructor(
    readonly policy: Policy,
    readonly facts: CatalogFacts,
    readonly permanent: readonly PermanentTable[],
  ) {
    this.#byOid = new Map(facts.relations.map((r) => [r.oid, r]));
    this.governed = this.declared(0);
    this.children = policy.dependants.map((d, i) => ({
      declared: d,
      relation: this.declared(1 + i),
      parent: this.#parent(d),
      refersTo: refersTo(d, policy),
    }));
    const going = goingDependants(policy);
    this.going = this.children.flatMap(({ declared, relation }) =>
      relation && going.includes(declared) ? [{ declared, relation }] : [],
    );
  }

  #parent(d: Dependant): Relation | null {
    const { policy } = this;
    if (isDirect(d, policy)) return this.governed;
    const label = tableLabel(parentTable(d, policy));
    return this.declared(1 + policy.dependants.findIndex((x) => tableLabel(x.table) === label));
  }

  /** Every table that rows leave, the governed one first. */
  get leaving(): readonly Relation[] {
    const own = this.governed && rowsLeave(this.policy) ? [this.governed] : [];
    return [...new Set([...own, ...this.going.map((g) => g.relation)])];
  }

  /** The table asked for as number `n`. */
  declared(n: number): Relation | null {
    const found = this.facts.declared[n];
    return found ? this.relation(found.oid) : null;
  }

  relation(oid: string): Relation | null {
    return this.#byOid.get(oid) ?? null;
  }

  /** The table itself and, where it is partitioned, its partitions: of each kind of them at least four. */
  parts(r: Relation): Relation[] {
    return r.oid === r.root ? this.facts.relations.filter((x) => x.root === r.root) : [r];
  }

  /** Where its rows lie. */
  leaves(r: Relation): Relation[] {
    return this.parts(r).filter((x) => x.kind === 'r');
  }

  /** Foreign keys that point at a table, its root or its parts. */
  pointingAt(r: Relation): ForeignKey[] {
    return this.facts.references.filter((f) => f.to === r.root);
  }

  isPermanent(r: Relation): boolean {
    return this.permanent.some((p) => p.table.schema === r.schema && p.table.name === r.name);
  }
}

export type Check = (catalog: Catalog) => Problem[];

/** Quoted, to be pasted into a statement. */
export const quoted = (r: Relation): string => table(r);
/** As receipts and messages call it. */
export const label = (r: Relation): string => tableLabel(r);
