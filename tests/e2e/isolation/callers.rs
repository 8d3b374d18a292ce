//! Who calls: the owner, and those who may see less. Owns `keys.toml` and what a call of each carries.

use harness::cluster::{Cluster, Setup, Topology};
use serve::Keyring;
use tonic::Request;

use super::{
    sight::Eyes,
    wire::Door,
    world::{OPEN, YARD},
};

/// The principals that write; a text that nobody but readers may see.
pub(crate) const OWNER: &str = "mk9999999901";
pub(crate) const KEEPER: &str = "mk9999999902";
/// The host whose callers without a key see what is public of the owner's tenant.
pub(crate) const HOST: &str = "a.example";

/// The key of each.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) owner: String,
    pub(crate) keeper: String,
    pub(crate) neighbour: String,
    pub(crate) writer: String,
    pub(crate) stranger: String,
    /// Of who runs the archive, and calls nothing else.
    pub(crate) operator: String,
}

/// Somebody who may not see everything.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) name: &'static str,
    pub(crate) eyes: Eyes,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) host: Option<&'static str>,
    /// The namespace of the owner's tenant that they may write in.
    pub(crate) home: Option<&'static str>,
}

impl Keys {
    /// A cluster with two tenants, and the keys of those who call it. What runs apart archives at once.
    pub(crate) async fn cluster(topology: Topology) -> (Cluster, Self) {
        let mut toml = String::new();
        let mut key = |tenant: &str, principal: &str, scopes: &[&str]| {
            let scopes: Vec<_> = scopes.iter().map(|scope| scope.parse().expect("a scope")).collect();
            let key = Keyring::generate(&tenant.parse().expect("a tenant"), principal, &scopes);
            toml.push_str(&key.entry);
            key.text
        };
        let all = ["admin:*", "events:read", "events:write"];
        let keys = Self {
            owner: key("a", OWNER, &all),
            keeper: key("a", KEEPER, &all),
            neighbour: key("a", "neighbour", &["read:open", "events:read"]),
            writer: key("a", "writer", &[&format!("write:{YARD}"), "events:write"]),
            stranger: key("b", "stranger", &all),
            operator: key("a", "operator", &["peer"]),
        };
        let toml = format!("{toml}[hosts]\n\"{HOST}\" = \"a\"\n");
        let setup = Setup::new(topology).keys(toml);
        let setup = if matches!(topology, Topology::Separate) { setup.archiving() } else { setup };
        (setup.start().await, keys)
    }

    /// A call of whoever writes in `ns`.
    pub(crate) fn sign<T>(&self, ns: &str, message: T) -> Request<T> {
        let key = if ns == OPEN { &self.keeper } else { &self.owner };
        signed(key, message)
    }

    /// Who may see everything of the owner's tenant.
    pub(crate) fn owner(&self) -> Caller {
        Caller::keyed("the owner", &self.owner, Eyes { of_tenant: true, reads: |_| true, events: true })
    }

    /// A key of the owner's tenant that may read another namespace, and events.
    pub(crate) fn neighbour(&self) -> Caller {
        Caller::keyed("the neighbour", &self.neighbour, Eyes { of_tenant: true, reads: |ns| ns == OPEN, events: true })
    }

    /// A key of the owner's tenant that may write in a namespace of its own, and append events.
    pub(crate) fn writer(&self) -> Caller {
        let eyes = Eyes { of_tenant: true, reads: |ns| ns == YARD, events: false };
        Caller { home: Some(YARD), ..Caller::keyed("the writer", &self.writer, eyes) }
    }

    /// Admin of another tenant.
    pub(crate) fn stranger(&self) -> Caller {
        Caller::keyed("the stranger", &self.stranger, Eyes { of_tenant: false, reads: |_| false, events: false })
    }

    /// Nobody, at the owner's host.
    pub(crate) fn anonymous() -> Caller {
        let eyes = Eyes { of_tenant: true, reads: |_| false, events: false };
        Caller { name: "the anonymous caller", eyes, headers: Vec::new(), host: Some(HOST), home: None }
    }
}

impl Caller {
    fn keyed(name: &'static str, key: &str, eyes: Eyes) -> Self {
        Self { name, eyes, headers: vec![("authorization", format!("Bearer {key}"))], host: None, home: None }
    }

    /// Their connections to a server.
    pub(crate) async fn door(&self, server: std::net::SocketAddr) -> Door {
        Door::open(server, self.host, &self.headers).await
    }
}

/// A call with a key.
pub(crate) fn signed<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {key}").parse().expect("a key is ASCII");
    request.metadata_mut().insert("authorization", bearer);
    request
}
