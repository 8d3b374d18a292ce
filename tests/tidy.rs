//! The architecture's rules, checked on the manifests and the sources of this workspace.
//!
//! A rule is a function over text that lists what breaks it; beside the test that holds it to the workspace stands
//! one that shows it fail. What clippy can see (clock, environment, statuses, tasks) is in `clippy.toml`.

#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/features.rs"]
mod features;
#[path = "tidy/manifests.rs"]
mod manifests;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/workspace.rs"]
mod workspace;
