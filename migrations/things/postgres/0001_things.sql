-- The present of every name, the last ULID of every name that ever was, and the mutations on their way to events.
-- Texts are compared as bytes. ULIDs and etags are 16 bytes, times are milliseconds since 1970.
--
-- Who serves is `annals_things`, who relays `annals_relay`: neither owns a table, and each row shows to whoever says its
-- tenant, or to the relay.

do $$
declare name text;
begin
  foreach name in array array['annals_things', 'annals_relay'] loop
    begin
      execute format('create role %I nologin', name);
    exception when duplicate_object or unique_violation then null; -- of another database of this server
    end;
    -- Who migrates may serve, if they are not allowed to be anybody anyway.
    if not pg_has_role(current_user, name, 'set') then
      execute format('grant %I to current_user', name);
    end if;
  end loop;
end $$;

create table namespaces (
  tenant text collate "C" not null,
  ns text collate "C" not null,
  style text not null check (style in ('wiki', 'literal')),
  created_at bigint not null,
  primary key (tenant, ns)
);

create table things (
  tenant text collate "C" not null,
  ns text collate "C" not null,
  id text collate "C" not null,
  variant text collate "C" not null,
  type text collate "C" not null,
  visibility text not null check (visibility in ('public', 'private', 'unlisted')),
  content text collate "C",
  code text collate "C",
  data text collate "C",
  embedding bytea, -- little-endian 32-bit floats
  created_at bigint not null,
  etag bytea not null,
  primary key (tenant, ns, id, variant)
);

create table relationships (
  tenant text collate "C" not null,
  ns text collate "C" not null,
  id text collate "C" not null,
  type text collate "C" not null,
  from_ns text collate "C" not null,
  from_id text collate "C" not null,
  from_hash bytea not null, -- 16 bytes of the name's SHA-256: two long names do not fit an index row
  to_ns text collate "C" not null,
  to_id text collate "C" not null,
  to_hash bytea not null,
  visibility text not null check (visibility in ('public', 'private', 'unlisted')),
  data text collate "C",
  created_at bigint not null,
  etag bytea not null,
  primary key (tenant, ns, id)
);

create index relationships_from on relationships (tenant, from_hash, ns, id);
create index relationships_to on relationships (tenant, to_hash, ns, id);

-- Kept after deletion, so that the history of a name never runs backwards. A writer locks the rows of all names that it
-- depends on; of a name that is not there yet it makes the row first, whose `last` is zero until it commits.
create table names (
  tenant text collate "C" not null,
  kind text collate "C" not null check (kind in ('thing', 'relationship')),
  ns text collate "C" not null,
  id text collate "C" not null,
  variant text collate "C" not null,
  last bytea not null, -- ULID of its newest mutation
  visibility text not null check (visibility in ('public', 'private', 'unlisted')), -- of its latest state
  from_ns text collate "C", -- the ends of a deleted relationship's last state
  from_id text collate "C",
  to_ns text collate "C",
  to_id text collate "C",
  primary key (tenant, kind, ns, id, variant)
);

-- Rows of a batch are sent together, and again until they are acknowledged and deleted.
create table outbox (
  tenant text collate "C" not null,
  sequence bigint generated always as identity primary key,
  batch bigint,
  payload bytea not null -- annals.events.v1.Event
);

create index outbox_batch on outbox (batch) where batch is not null;

-- One row.
create table relay (
  tenant text collate "C" not null check (tenant = ''), -- of nobody
  id bytea not null, -- ULID, made with the database
  epoch bigint not null, -- of the lease: raised by whoever takes it
  seen_at timestamptz not null default '-infinity', -- when whoever has the lease was there
  batch bigint not null, -- the last one
  primary key (tenant)
);

insert into relay (tenant, id, epoch, batch) values ('', uuid_send(gen_random_uuid()), 0, 0);

do $$
declare name text;
begin
  foreach name in array array['namespaces', 'things', 'relationships', 'names', 'outbox', 'relay'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    if name <> 'relay' then
      execute format('create policy tenant on %I to annals_things using (tenant = current_setting(''annals.tenant'', true))', name);
    end if;
  end loop;
end $$;

create policy relay on outbox to annals_relay using (true);
create policy relay on relay to annals_relay using (true);

grant select, insert, update, delete on namespaces, things, relationships, names to annals_things;
grant insert on outbox to annals_things;
grant select, update, delete on outbox to annals_relay;
grant select, update on relay to annals_relay;
