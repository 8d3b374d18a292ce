-- What data of a type in a namespace must satisfy.
create table schemas (
  tenant text collate "C" not null,
  ns text collate "C" not null,
  type text collate "C" not null,
  schema text collate "C" not null, -- JSON Schema, compact
  created_at bigint not null,
  updated_at bigint not null,
  primary key (tenant, ns, type)
);

alter table schemas enable row level security;
alter table schemas force row level security;
create policy tenant on schemas to annals_things using (tenant = current_setting('annals.tenant', true));
grant select, insert, update, delete on schemas to annals_things;

-- How many there are, so that a write to a namespace without any looks for none.
alter table namespaces add column schemas integer not null default 0;
