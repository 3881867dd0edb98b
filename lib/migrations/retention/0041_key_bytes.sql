-- Keys of one uuid are kept as their bytes, 16 a key, one after the other: they are made, written and hashed as one value,
-- where an array is built and sent key by key. Such a receipt has form 3; receipts of the other forms keep their keys and their hash.

-- Up Migration

alter table retention.receipt add column key_bytes bytea;
-- Random bytes do not compress, and a batch would wait for the attempt.
alter table retention.receipt alter column key_bytes set storage external;
alter table retention.receipt drop constraint receipt_keys;
alter table retention.receipt drop constraint receipt_form_check;
alter table retention.receipt add constraint receipt_keys check (num_nonnulls(keys, uuid_keys, key_bytes) = 1) not valid;
alter table retention.receipt add constraint receipt_form_check
  check (form in (1, 2, 3) and (form = 3) = (key_bytes is not null) and octet_length(key_bytes) % 16 = 0) not valid;
alter table retention.receipt validate constraint receipt_keys;
alter table retention.receipt validate constraint receipt_form_check;
comment on column retention.receipt.key_bytes is
  'Keys of the deleted rows of a table whose key is one uuid, 16 bytes a key; else null. [confidential; personal: key of a row; handling: pseudonym]';
comment on column retention.receipt.uuid_keys is
  'The same as an array, in receipts of form 2; else null. [confidential; personal: key of a row; handling: pseudonym]';
comment on column retention.receipt.keys is
  'Keys of the deleted rows as text; a key of several columns as a JSON array. Null where another column holds them. [confidential; personal: key of a row; handling: pseudonym]';
comment on column retention.receipt.form is
  'How the hash takes the keys: 1 as JSON text, 2 as SHA-256 of the binary array, 3 as SHA-256 of their bytes.';

-- Down Migration

-- Receipts cannot be rewritten without breaking their hashes, nor lose their keys.
do $$ begin
  if exists (select 1 from retention.receipt where form = 3) then
    raise exception 'lapse: receipts of this form exist; going back would lose the keys they name';
  end if;
end $$;
alter table retention.receipt drop constraint receipt_form_check;
alter table retention.receipt drop constraint receipt_keys;
alter table retention.receipt drop column key_bytes;
alter table retention.receipt add constraint receipt_keys check (num_nonnulls(keys, uuid_keys) = 1);
alter table retention.receipt add constraint receipt_form_check check (form in (1, 2));
