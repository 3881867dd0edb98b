import { expect, it } from 'vitest';
import { looksPersonal } from '@/lib/policies/personal';

it.each<[string, string, string, string]>([
  ['users', 'email', 'text', 'confidential'],
  ['User', 'emailAddress', 'character varying(255)', 'confidential'],
  ['User', 'name', 'text', 'confidential'],
  ['customer', 'first_name', 'text', 'confidential'],
  ['UserSecurityAuditLog', 'ipAddress', 'text', 'confidential'],
  ['RateLimit', 'IPAddress', 'inet', 'confidential'],
  ['UserSecurityAuditLog', 'userAgent', 'text', 'confidential'],
  ['sessions', 'session_token', 'text', 'restricted'],
  ['User', 'password', 'text', 'restricted'],
  ['auth_user', 'password', 'character varying(128)', 'restricted'],
  ['address', 'address2', 'text', 'confidential'],
  ['address', 'phone', 'text', 'confidential'],
  ['staff', 'picture', 'bytea', 'confidential'],
  ['patients', 'date_of_birth', 'date', 'confidential'],
  ['payment', 'customer_id', 'integer', 'confidential'],
  ['documents', 'created_by', 'uuid', 'confidential'],
  ['webhook_events', 'payload', 'jsonb', 'confidential'],
  ['posts', 'tags_email', 'text[]', 'confidential'],
])('%s.%s (%s) looks %s', (table, column, type, how) => {
  expect(looksPersonal({ table, column, type })).toBe(how);
});

it.each<[string, string, string]>([
  ['products', 'name', 'text'],
  ['film', 'title', 'text'],
  ['users', 'email_verified', 'boolean'],
  ['users', 'email_verified_at', 'timestamp with time zone'],
  ['users', 'password_changed_at', 'timestamp(3) without time zone'],
  ['messages', 'message_count', 'integer'],
  ['orders', 'status', 'text'],
  ['tokens', 'kind', 'text'],
  ['shipments', 'amount_cents', 'integer'],
  ['documents', 'organization_id', 'uuid'],
  ['events', 'created_at', 'timestamp with time zone'],
  ['files', 'zipped', 'boolean'],
  ['files', 'file_name', 'text'],
])('%s.%s (%s) names nobody', (table, column, type) => {
  expect(looksPersonal({ table, column, type })).toBeNull();
});
