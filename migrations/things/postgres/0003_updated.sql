-- For lists by the time of the last change, which is the etag's.
create index things_updated on things (tenant, ns, etag);
