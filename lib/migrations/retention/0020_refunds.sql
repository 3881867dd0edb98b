-- Refunds: a second operator above the caps, and the mark by which a stop waits for what the provider is being asked.

-- Up Migration

alter table retention.refund_intent
  add column confirmed_by text,
  add column confirmation text,
  add column asking_until timestamptz,
  add constraint refund_intent_two_people check (confirmed_by <> requested_by),
  add constraint refund_intent_confirmation check ((confirmed_by is null) = (confirmation is null));
create index refund_intent_asking on retention.refund_intent (asking_until) where asking_until is not null;
comment on column retention.refund_intent.confirmed_by is 'The second operator, who confirmed a refund above the caps.';
comment on column retention.refund_intent.confirmation is 'Keyed hash over order, payment, amount, currency and both names: who has the database alone cannot make one.';
comment on column retention.refund_intent.asking_until is 'Until then the provider may be being asked to pay back; a stop waits for it. By the database''s clock.';
-- Written by the functions of functions/orders.sql only, each with its entry in the audit chain.
revoke insert, update on retention.refund_intent from lapse_app;
revoke insert on retention.order_step from lapse_app;

-- Down Migration

grant insert, update on retention.refund_intent to lapse_app;
grant insert on retention.order_step to lapse_app;
drop trigger if exists lapse_refunds on retention.kill_switch;
drop trigger if exists lapse_refunds on retention.policy_state;
drop function if exists retention.await_refunds();
update retention.applied_functions set sha256 = '';
alter table retention.refund_intent drop column asking_until, drop column confirmation, drop column confirmed_by;
