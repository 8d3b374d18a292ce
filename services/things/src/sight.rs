//! Owns who sees what of the present: visibility applied to a caller. Never reads a state.

use domain::{Namespace, Visibility};
use serve::Caller;

/// How a caller comes upon something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// By its exact name.
    ByName,
    /// In a list.
    Listed,
}

/// Whether `caller` sees something of `ns` with that visibility, coming upon it that way.
pub(crate) fn sees(caller: &Caller, way: Way, ns: &Namespace, visibility: Visibility) -> bool {
    match visibility {
        Visibility::Public => true,
        Visibility::Unlisted => way == Way::ByName || caller.may_read(ns),
        Visibility::Private => caller.may_read(ns),
    }
}

/// Whether `caller` sees a relationship: itself, and both its ends, which who names a relationship does not name.
pub(crate) fn sees_relationship(
    caller: &Caller,
    way: Way,
    own: (&Namespace, Visibility),
    from: (&Namespace, Visibility),
    to: (&Namespace, Visibility),
) -> bool {
    let (ns, visibility) = own;
    sees(caller, way, ns, visibility)
        && [from, to].into_iter().all(|(ns, visibility)| sees(caller, Way::Listed, ns, visibility))
}
