//! Which events a command is about.

use domain::{EventType, Timestamp};

use crate::name::NamespaceName;

/// By time of intake, type and entity; each that is given must hold.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Filter {
    /// Only what was taken in at or after this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<Timestamp>,

    /// Only what was taken in before this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<Timestamp>,

    /// Only these types: log, mutation, metric, error or another word.
    #[arg(long, value_delimiter = ',')]
    r#type: Vec<EventType>,

    /// Only about entities of this namespace.
    #[arg(long)]
    ns: Option<NamespaceName>,

    /// Only about this entity, with its #variant.
    #[arg(long, requires = "ns")]
    id: Option<String>,
}

impl Filter {
    /// As requests have it: types, namespace and id.
    pub(crate) fn to_wire(&self) -> (Vec<String>, String, String) {
        let types = self.r#type.iter().map(|word| word.as_str().to_owned()).collect();
        let ns = self.ns.as_ref().map(|NamespaceName(ns)| ns.to_string());
        (types, ns.unwrap_or_default(), self.id.clone().unwrap_or_default())
    }
}
