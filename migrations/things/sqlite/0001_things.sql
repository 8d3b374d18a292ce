-- The present of every name, the last ULID of every name that ever was, and the mutations on their way to events.
-- Texts are compared as bytes. ULIDs and etags are 16 bytes, times are milliseconds since 1970.

create table namespaces (
  tenant text not null,
  ns text not null,
  style text not null check (style in ('wiki', 'literal')),
  created_at integer not null,
  primary key (tenant, ns)
) strict, without rowid;

-- With rowid, because rows are large: the index of the key stays small.
create table things (
  tenant text not null,
  ns text not null,
  id text not null,
  variant text not null,
  type text not null,
  visibility text not null check (visibility in ('public', 'private', 'unlisted')),
  content text,
  code text,
  data text,
  embedding blob, -- little-endian 32-bit floats
  created_at integer not null,
  etag blob not null,
  primary key (tenant, ns, id, variant)
) strict;

create table relationships (
  tenant text not null,
  ns text not null,
  id text not null,
  type text not null,
  from_ns text not null,
  from_id text not null,
  from_hash blob not null, -- 16 bytes of the name's SHA-256: two long names do not fit an index row everywhere
  to_ns text not null,
  to_id text not null,
  to_hash blob not null,
  visibility text not null check (visibility in ('public', 'private', 'unlisted')),
  data text,
  created_at integer not null,
  etag blob not null,
  primary key (tenant, ns, id)
) strict;

create index relationships_from on relationships (tenant, from_hash, ns, id);
create index relationships_to on relationships (tenant, to_hash, ns, id);

-- Kept after deletion, so that the history of a name never runs backwards.
create table names (
  tenant text not null,
  kind text not null check (kind in ('thing', 'relationship')),
  ns text not null,
  id text not null,
  variant text not null,
  last blob not null, -- ULID of its newest mutation
  visibility text not null check (visibility in ('public', 'private', 'unlisted')), -- of its latest state
  from_ns text, -- the ends of a deleted relationship's last state
  from_id text,
  to_ns text,
  to_id text,
  primary key (tenant, kind, ns, id, variant)
) strict, without rowid;

create table outbox (
  tenant text not null,
  sequence integer primary key,
  payload blob not null -- annals.events.v1.Event
) strict;

-- One row. Rows of the outbox up to `through` are batch `batch`, until they are acknowledged and deleted.
create table relay (
  only integer primary key check (only = 1),
  id blob not null, -- ULID, made with the database
  epoch integer not null, -- of the lease: raised by whoever takes it
  batch integer not null,
  through integer not null
) strict;
