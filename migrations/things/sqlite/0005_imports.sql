-- How far imports with an id are, for as long as they may be gone on with.
create table imports (
  tenant text not null,
  principal text not null,
  import_id text not null,
  next_row integer not null, -- behind the last that is committed
  updated_at integer not null,
  primary key (tenant, principal, import_id)
) strict, without rowid;

create index imports_age on imports (tenant, updated_at);
