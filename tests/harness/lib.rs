//! What the tests share: the programs they talk to, and a disk that forgets what was not synced.

pub mod backends;
pub mod catalogs;
pub mod cluster;
pub mod databases;
pub mod disk;
pub mod embeddings;
pub mod events;
pub mod http;
pub mod load;
pub mod program;
pub mod restore;
pub mod s3;
mod setup;
