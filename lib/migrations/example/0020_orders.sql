-- What Lapse may change of an order: where it stands and how that ended, never what was paid or when the review began.

-- Up Migration

revoke update on orders from lapse_app;
grant update (status, review_extended_until, resolved_at, refunded_at, refund_id) on orders to lapse_app;

-- Down Migration

revoke update (status, review_extended_until, resolved_at, refunded_at, refund_id) on orders from lapse_app;
grant update on orders to lapse_app;
