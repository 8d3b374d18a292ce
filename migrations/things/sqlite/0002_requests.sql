-- Writes with a request id that were carried out, for as long as a repetition gets the same answer.
create table requests (
  tenant text not null,
  principal text not null,
  request_id text not null,
  digest blob not null, -- SHA-256 of what was asked
  answer blob not null, -- annals.things.v1.WriteThingsResponse
  created_at integer not null,
  primary key (tenant, principal, request_id)
) strict, without rowid;

create index requests_age on requests (tenant, created_at);
