/** Projects with their tasks and the comments of those: three levels, beside one `DELETE` whose cascades take the same rows. */
import { days, definePolicy } from '../../../policies/contract';
import { besideCascade } from './cascade';
import type { Template } from './scene';

const key = [{ column: 'id', type: 'uuid' }];
const policy = definePolicy({
  name: 'bench-projects',
  description: 'Projects after 8 days, with their tasks and comments.',
  justification: 'The bench.',
  ground: 'none',
  schedule: { run: '0 3 * * *', resume: '30 3 * * *' },
  table: { name: 'bench_projects' },
  key,
  clock: { column: 'created_at', type: 'timestamptz' },
  rules: [{ label: 'all', keepFor: days(8) }],
  scope: {},
  dependants: [
    { table: { name: 'bench_tasks' }, key, references: ['project_id'], fate: 'delete' },
    {
      table: { name: 'bench_comments' },
      via: { name: 'bench_tasks' },
      key,
      references: ['task_id'],
      fate: 'delete',
    },
  ],
});

const TABLES = ['bench_projects', 'bench_tasks', 'bench_comments'];

/** Three tasks a project and three comments a task, over a fortnight. */
const projectsOf = (projects: number): Template => ({
  name: 'projects',
  table: TABLES[0]!,
  async make(owner) {
    await owner.query(`
      create table bench_projects (id uuid primary key, title text, created_at timestamptz not null);
      create index on bench_projects (created_at, id);
      create table bench_tasks (id uuid primary key, project_id uuid not null references bench_projects on delete cascade, title text);
      create index on bench_tasks (project_id);
      create table bench_comments (id uuid primary key, task_id uuid not null references bench_tasks on delete cascade, body text);
      create index on bench_comments (task_id);
      grant select, delete, update (id) on ${TABLES.join(', ')} to lapse_app;
      select retention.protect('public.' || t) from unnest('{${TABLES.join(',')}}'::text[]) t;
      insert into bench_projects select md5('project' || i)::uuid, 'project ' || i, now() - interval '14 days' * (1 - i::float8 / ${projects})
        from generate_series(1, ${projects}) i;
      insert into bench_tasks select md5('task' || i || ' ' || j)::uuid, md5('project' || i)::uuid, 'task ' || j
        from generate_series(1, ${projects}) i cross join generate_series(1, 3) j;
      insert into bench_comments select md5('comment' || i || ' ' || j || ' ' || k)::uuid, md5('task' || i || ' ' || j)::uuid, 'comment ' || k
        from generate_series(1, ${projects}) i cross join generate_series(1, 3) j cross join generate_series(1, 3) k`);
  },
});

export const tree = besideCascade({
  name: 'treeVsCascade',
  target: '>= 0.5',
  policy,
  rowsOfEach: 13,
  template: projectsOf,
  tables: TABLES,
});
