-- What data of a type in a namespace must satisfy.
create table schemas (
  tenant text not null,
  ns text not null,
  type text not null,
  schema text not null, -- JSON Schema, compact
  created_at integer not null,
  updated_at integer not null,
  primary key (tenant, ns, type)
) strict;

-- How many there are, so that a write to a namespace without any looks for none.
alter table namespaces add column schemas integer not null default 0;
