//! What holds when the power fails, the disk fills up or a process dies; first of all, that the disk which the other
//! tests here rely on forgets exactly what was not synced.

mod alone;
mod broken_disk;
mod bucket;
mod config;
mod crash;
mod damage;
mod data;
mod knobs;
mod names;
mod random;
mod replicas;
mod scene;
mod search;
mod sqlite;
mod sync_calls;
mod takeover;
mod tenants;
