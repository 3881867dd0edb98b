/**
 * `npm run docs:retention`: writes docs/RETENTION.md from the policies as they are declared. `-- --deployed` prints it instead, with
 * the periods that the variables of this environment set (RETENTION_DAYS_…): what to publish for a deployment.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { permanentTables, policies, resolvePolicies } from '../../policies';
import { contact } from '../../policies/contact';
import { retentionPolicy } from '../docs/retention';

const { values } = parseArgs({ options: { deployed: { type: 'boolean', default: false } } });
const text = retentionPolicy({
  policies: values.deployed ? resolvePolicies(process.env) : policies,
  permanent: permanentTables,
  contact,
});
if (values.deployed) process.stdout.write(text);
else await writeFile('docs/RETENTION.md', text);
