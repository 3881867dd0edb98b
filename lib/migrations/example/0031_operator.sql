-- What a person decides about rows of the business: an order in review, and a document that is taken back.

-- Up Migration

grant select, update (status, review_extended_until, resolved_at) on orders to lapse_operator;
grant select, update (deleted_at) on documents to lapse_operator;

-- Down Migration

revoke select, update (deleted_at) on documents from lapse_operator;
revoke select, update (status, review_extended_until, resolved_at) on orders from lapse_operator;
