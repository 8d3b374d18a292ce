//! Owns how many files this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process open as many files as the system allows. Each connection is one, and the limit that a process is
/// usually started with, 1,024, is met before [all of them](crate::accept::Limits::connections) are there.
pub(crate) fn allow_all() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files stays as it was");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_may_be_open_as_the_system_allows() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: maximum.map(|most| most.min(512)), maximum }).expect("lowered");
        allow_all();
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }
}
