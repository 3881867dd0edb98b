/**
 * Forty days of two policies that tell twelve organizations before their rows go, with a real mail server that is away for three
 * of them. Every message and every deletion is held against a count of its own (notices-oracle.ts); at the end every link of every
 * message is tampered with, used twice or expired, and does nothing.
 */
import { randomBytes } from 'node:crypto';
import { runPolicy } from '../../../engine/run/run';
import { askOne } from '../../../platform/session';
import { days, definePolicy, type Policy } from '../../../policies/contract';
import { type Link, LinkError, readLink, refuseUsed, useLink } from '../../../rights/links';
import { announcementOf, extend, unsubscribe } from '../../../rights/notices/acts';
import { Copy } from '../../../rights/notices/copy';
import { sendNotices } from '../../../rights/notices/job';
import type { Services } from '../../../services';
import { type Mailbox, mailbox } from '../../mailbox';
import { type ProofCloud, proofCloud } from './cloud';
import { Oracle, type Rule, type Said } from './notices-oracle';
import type { Part, Proved } from './part';

const [DAYS, ORGANIZATIONS, OUTAGE_FROM, OUTAGE_DAYS] = [40, 12, 15, 3];
const DAY_MS = 86_400_000;
const START = Date.parse('2026-01-01T00:00:00Z');
/** Hours of the day: the runs of the night, the job, and the job once more. */
const [RUN, FIRST, AGAIN] = [4, 6.5, 12.5];

const RULES: readonly Rule[] = [
  { policy: 'papers', keepDays: 30, thresholds: [7, 1], requiredDays: 7, extendDays: 3 },
  { policy: 'drafts', keepDays: 20, thresholds: [5] },
];

export const notices: Part = {
  name: 'notices',
  async prove(say) {
    const box = await mailbox();
    const env = {
      NOTICE_SMTP_URL: box.url,
      NOTICE_FROM: 'lapse@example.com',
      LAPSE_LINK_KEY: randomBytes(32).toString('hex'),
      LAPSE_URL: 'https://lapse.example.com',
      LAPSE_MASS_DELETION_GUARD: 'off',
      LAPSE_PROGRESSIVE_ROLLOUT: 'off',
      LAPSE_COOLING_OFF_DAYS: '0',
      CLEANUP_PERCENT_WHILE_OTHERS_WRITE: '100',
    };
    const c = await proofCloud({ env });
    try {
      return await new Simulation(c, box, say).prove();
    } finally {
      await c.end();
      await box.close();
    }
  },
};

const policyOf = ({ policy, keepDays, thresholds, requiredDays, extendDays }: Rule): Policy =>
  definePolicy({
    name: policy,
    description: `${policy} of the proof, with notices`,
    justification: 'because the proof wants it so',
    ground: 'proof',
    schedule: { run: '0 4 * * *' },
    table: { name: policy },
    key: [{ column: 'id', type: 'uuid' }],
    clock: { column: 'at', type: 'timestamptz' },
    rules: [{ label: 'all', keepFor: days(keepDays) }],
    tenants: {
      table: { name: 'customers' },
      key: { column: 'id', type: 'uuid' },
      column: 'org',
      label: `'all'`,
    },
    scope: { organization: 'org' },
    notice: {
      thresholdsDays: [...thresholds],
      ...(requiredDays === undefined ? {} : { requiredDays }),
      ...(extendDays === undefined ? {} : { extendDays }),
      to: { address: 'mail', zone: 'zone' },
    },
  });

class Simulation {
  readonly #problems: string[] = [];
  readonly #seen = new Oracle(RULES);
  /** The same without an outage: what the three days cost. */
  readonly #undisturbed = new Oracle(RULES);
  readonly #policies = RULES.map(policyOf);
  #orgs: { id: string; mail: string }[] = [];
  #services: Services;
  #expected = 0;
  #extended = false;

  constructor(
    private readonly c: ProofCloud,
    private readonly box: Mailbox,
    private readonly say: (line: string) => void,
  ) {
    this.#services = { ...c.services, policies: this.#policies };
  }

  async prove(): Promise<Proved> {
    await this.#tables();
    for (let day = 0; day < DAYS; day++) await this.#day(day);
    const [late, most] = this.#delays();
    this.say(
      `${this.#expected} messages in ${DAYS} days, each as it was reckoned; three days without a mail server moved ${late} rows by up to ${most} days`,
    );
    const links = await this.#links();
    this.say(`${links} times a link that was tampered with, had been used or had expired did nothing`);
    const gone = this.#seen.things.filter((t) => t.goneOn !== null).length;
    if (most !== OUTAGE_DAYS)
      this.#problems.push(`${OUTAGE_DAYS} days of outage moved the deletions by ${most}`);
    const figures = {
      mails: this.box.mails.length,
      rows: this.#seen.things.length,
      gone,
      late,
      daysLate: most,
      links,
    };
    return { figures, problems: this.#problems };
  }

  async #tables(): Promise<void> {
    const { owner } = this.c;
    await owner.query(`create table customers (id uuid primary key default gen_random_uuid(), mail text not null, zone text);
      create trigger lapse_gate before insert or update or delete on customers for each statement execute function retention.gate();
      grant select on customers to lapse_app`);
    for (const { policy } of RULES) {
      await owner.query(`create table ${policy} (id uuid primary key default gen_random_uuid(), at timestamptz, org uuid not null references customers (id));
        create index on ${policy} (org, at, id);
        grant select, update, delete on ${policy} to lapse_app;
        select retention.protect('public.${policy}')`);
    }
    const { rows } = await owner.query<{ id: string; mail: string }>(
      `insert into customers (mail, zone) select 'customer' || i || '@example.com', (array['Europe/Vienna', 'Asia/Tokyo', null])[1 + i % 3]
       from generate_series(1, ${ORGANIZATIONS}) i returning id::text, mail`,
    );
    this.#orgs = rows;
    // What there was before the first day.
    for (let day = -40; day < 0; day++) await this.#write(day);
  }

  /** Rows that the application writes on a day, each at an hour of its own. */
  async #write(day: number): Promise<void> {
    for (const [i, { id: org }] of this.#orgs.entries()) {
      for (const [n, { policy }] of RULES.entries()) {
        if ((day + i + n) % 3 === 0) continue;
        const at = day + ((day * 7 + i * 5 + n * 11 + 4_000) % 97) / 97;
        const { rows } = await this.c.owner.query<{ id: string }>(
          `insert into ${policy} (org, at) values ($1, $2) returning id::text`,
          [org, new Date(START + at * DAY_MS)],
        );
        for (const oracle of [this.#seen, this.#undisturbed]) {
          const nothing = { keptUntil: Number.NEGATIVE_INFINITY, toldOn: null, goneOn: null };
          oracle.things.push({ id: rows[0]!.id, policy, org, at, ...nothing, toldAt: new Set() });
        }
      }
    }
  }

  async #day(day: number): Promise<void> {
    await this.#clock(day, RUN);
    for (const policy of this.#policies) await this.#run(policy, day);
    await this.#compareRows(day);
    const isAway = day >= OUTAGE_FROM && day < OUTAGE_FROM + OUTAGE_DAYS;
    const smtp = isAway ? 'smtp://127.0.0.1:1' : this.box.url;
    for (const hour of [FIRST, AGAIN]) {
      await this.#clock(day, hour);
      const settings = { ...this.#services.settings, notices: { smtp, from: 'lapse@example.com' } };
      const before = this.box.mails.length;
      await sendNotices({ ...this.#services, settings }, { ...this.#call(), dryRun: false });
      await this.#compareMails(day, before, hour === FIRST && !isAway);
    }
    await this.#clock(day, 23.9);
    await this.#write(day);
  }

  async #clock(day: number, hour: number): Promise<void> {
    const now = new Date(START + (day + hour / 24) * DAY_MS);
    await this.c.owner.query(`create or replace function retention.clock() returns timestamptz language sql volatile
      set search_path = pg_catalog, pg_temp as $$ select '${now.toISOString()}'::timestamptz $$`);
    this.#services = { ...this.#services, clock: () => now };
  }

  readonly #call = () => ({
    correlationId: 'proof',
    trigger: 'cron' as const,
    deadline: new Date(this.#services.clock().getTime() + 240_000),
  });

  async #run(policy: Policy, day: number): Promise<void> {
    const result = await runPolicy(this.#services, policy, { ...this.#call(), actor: 'cron', dryRun: false });
    if (result.outcome !== 'succeeded') this.#problems.push(`day ${day}, ${policy.name}: ${result.message}`);
  }

  async #compareRows(day: number): Promise<void> {
    for (const oracle of [this.#seen, this.#undisturbed]) oracle.run(day, RUN);
    const tables = RULES.map(({ policy }) => `select id::text from ${policy}`).join(' union all ');
    const { rows } = await this.c.owner.query<{ id: string }>(tables);
    const there = new Set(rows.map((r) => r.id));
    const wrong = this.#seen.things.filter((t) => (t.goneOn === null) !== there.has(t.id));
    if (wrong.length > 0)
      this.#problems.push(`day ${day}: ${wrong.length} rows are not where they should be`);
  }

  async #compareMails(day: number, before: number, isDelivered: boolean): Promise<void> {
    const mails = this.box.mails.slice(before);
    const wanted = this.#orgs.flatMap(({ id, mail }) => {
      const said = this.#seen.message(id, day);
      return said.length > 0 && isDelivered ? [{ org: id, mail, said }] : [];
    });
    this.#expected += wanted.length;
    const told = mails.map(
      (m) =>
        `${m.to}: ${[...m.text.matchAll(/^(\w+)\n(?:More than )?(\d+) items? /gm)].map((x) => `${x[1]} ${x[2]}`).join(', ')}`,
    );
    const should = wanted.map((w) => `${w.mail}: ${w.said.map((s) => `${s.policy} ${s.found}`).join(', ')}`);
    if (told.sort().join('\n') !== should.sort().join('\n'))
      this.#problems.push(`day ${day}: sent\n  ${told.join('\n  ')}\nshould be\n  ${should.join('\n  ')}`);
    for (const { org, said } of wanted) this.#seen.deliver(org, day, said);
    if (isDelivered) await this.#keepOnce(day, wanted);
    if (before === this.box.mails.length || isDelivered) this.#tellUndisturbed(day, isDelivered);
  }

  /** The first message that offers it is taken at its word. */
  async #keepOnce(day: number, wanted: readonly { mail: string; said: readonly Said[] }[]): Promise<void> {
    const one = wanted.find((w) => w.said.some((s) => s.policy === 'papers' && s.threshold === 7));
    if (this.#extended || day < 3 || !one) return;
    this.#extended = true;
    const part = one.said.find((s) => s.policy === 'papers' && s.threshold === 7)!;
    const links = linksIn(this.box, one.mail, 'extend');
    // Nearest first, so the link of the further threshold is the last of its message.
    const answer = await follow(this.#services, links.at(-1)!);
    if (answer !== 200) this.#problems.push(`a link that keeps rows answered ${answer}`);
    for (const oracle of [this.#seen, this.#undisturbed]) oracle.extend(day, part);
    const twin = this.#undisturbed.things.filter((t) => part.rows.some((r) => r.id === t.id));
    this.#undisturbed.extend(day, { ...part, rows: twin });
  }

  #tellUndisturbed(day: number, isDelivered: boolean): void {
    const isAway = day >= OUTAGE_FROM && day < OUTAGE_FROM + OUTAGE_DAYS;
    if (!isDelivered && !isAway) return;
    for (const { id } of this.#orgs) {
      this.#undisturbed.deliver(id, day, this.#undisturbed.message(id, day));
    }
  }

  /** Rows that went later than without the outage, and by how many days at most. */
  #delays(): [rows: number, most: number] {
    const gone = new Map(this.#undisturbed.things.map((t) => [t.id, t.goneOn]));
    const late = this.#seen.things.flatMap((t) => {
      const before = gone.get(t.id) ?? null;
      return before !== null && t.goneOn !== null && t.goneOn > before ? [t.goneOn - before] : [];
    });
    return [late.length, Math.max(0, ...late)];
  }

  /** How many links did nothing, as they should. */
  async #links(): Promise<number> {
    const { owner } = this.c;
    const state = async () =>
      JSON.stringify(
        (
          await owner.query(`select (select jsonb_agg(e order by row_key) from retention.extension e) as a,
            (select jsonb_agg(s) from retention.notice_stop s) as b, (select count(*) from retention.link_use) as c,
            (select count(*) from retention.audit_entry) as d`)
        ).rows,
      );
    const all = ['extend', 'download', 'unsubscribe'].flatMap((kind) =>
      linksIn(this.box, null, kind).filter((_, i) => i % 7 === 0),
    );
    const before = await state();
    let refused = 0;
    for (const [i, link] of all.entries()) {
      // A letter in the middle of the signature, of the claims, or of the head.
      const at = [link.length - 9, link.length - 120, link.indexOf('link=') + 9][i % 3]!;
      const changed = `${link.slice(0, at)}${link[at] === 'A' ? 'B' : 'A'}${link.slice(at + 1)}`;
      if ((await follow(this.#services, changed)) >= 400) refused += 1;
      else this.#problems.push(`a link that was tampered with did something: ${changed.slice(0, 60)}…`);
    }
    await this.#clock(DAYS + 400, 0);
    for (const link of all) {
      if ((await follow(this.#services, link)) === 410) refused += 1;
      else this.#problems.push('a link that had expired did something');
    }
    await this.#clock(DAYS - 1, 23);
    if ((await state()) !== before) this.#problems.push('links that were refused changed something');
    return refused + (await this.#reused());
  }

  /** Each kind of link of the last message works once and no second time. */
  async #reused(): Promise<number> {
    const to = this.box.mails.findLast((m) => m.text.includes('Keep until'))!.to;
    let refused = 0;
    for (const kind of ['download', 'extend', 'unsubscribe']) {
      const link = linksIn(this.box, to, kind).at(-1)!;
      const answers = [await follow(this.#services, link), await follow(this.#services, link)];
      if (answers.join() === '200,410') refused += 1;
      else this.#problems.push(`a link to ${kind}, used twice, answered ${answers.join(' and ')}`);
    }
    return refused;
  }
}

function linksIn(box: Mailbox, to: string | null, kind: string): string[] {
  const mails = to === null ? box.mails : box.mails.filter((m) => m.to === to);
  return mails.flatMap(
    (m) => m.text.match(new RegExp(`https://\\S+/api/notices/${kind}\\?link=\\S+`, 'g')) ?? [],
  );
}

const ACTS = {
  download: async (services: Services, link: Link) => {
    const about = await announcementOf(services, link);
    refuseUsed(await askOne(services.database, useLink(link), { statementMs: 5_000 }));
    await new Response(new Copy(services, about).stream()).arrayBuffer();
  },
  extend: async (services: Services, link: Link) => void (await extend(services, link)),
  unsubscribe,
};

/** What the button of a link answers, by its status. */
async function follow(services: Services, address: string): Promise<number> {
  const kind = /notices\/(\w+)\?/.exec(address)![1] as keyof typeof ACTS;
  const token = new URL(address).searchParams.get('link') ?? '';
  try {
    const link = await readLink(services.settings.links!, token, `notice.${kind}`, services.clock());
    await ACTS[kind](services, link);
    return 200;
  } catch (error) {
    if (error instanceof LinkError) return error.status;
    throw error;
  }
}
