-- In another collation, of the same order: so that names are not looked up by it, which the planner would do while it knows nothing
-- of a table that grows.
drop index things_updated;
create index things_updated on things (tenant, ns collate "POSIX", etag);
