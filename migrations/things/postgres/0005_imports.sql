-- How far imports with an id are, for as long as they may be gone on with.
create table imports (
  tenant text collate "C" not null,
  principal text collate "C" not null,
  import_id text collate "C" not null,
  next_row bigint not null, -- behind the last that is committed
  updated_at bigint not null,
  primary key (tenant, principal, import_id)
);

create index imports_age on imports (tenant, updated_at);

alter table imports enable row level security;
alter table imports force row level security;
create policy tenant on imports to annals_things using (tenant = current_setting('annals.tenant', true));
grant select, insert, update, delete on imports to annals_things;
