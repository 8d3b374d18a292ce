-- Writes with a request id that were carried out, for as long as a repetition gets the same answer.
create table requests (
  tenant text collate "C" not null,
  principal text collate "C" not null,
  request_id text collate "C" not null,
  digest bytea not null, -- SHA-256 of what was asked
  answer bytea not null, -- annals.things.v1.WriteThingsResponse
  created_at bigint not null,
  primary key (tenant, principal, request_id)
);

create index requests_age on requests (tenant, created_at);

alter table requests enable row level security;
alter table requests force row level security;
create policy tenant on requests to annals_things using (tenant = current_setting('annals.tenant', true));
grant select, insert, update, delete on requests to annals_things;
