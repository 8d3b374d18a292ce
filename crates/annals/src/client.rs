//! Owns the way to a server: where it is, what key a call carries, and the generated clients over it.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use domain::{AsOf, Path, Style};
use http::{HeaderValue, header::AUTHORIZATION};
use proto::{
    common::v1::{EntityKind, Key},
    convert,
    events::v1::events_service_client::EventsServiceClient,
    search::v1::search_service_client::SearchServiceClient,
    things::v1::{
        ResolveNameRequest, ResolveNameResponse, SettleRequest, Thing, things_service_client::ThingsServiceClient,
    },
};
use tonic::{body::Body, transport::Endpoint};
use tower::{BoxError, ServiceExt as _, util::BoxCloneSyncService};

use crate::config;

/// The largest answer taken: a page of 8 MiB or one item.
const MAX_MESSAGE: usize = 16 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Anything that answers gRPC.
pub(crate) type Transport = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, BoxError>;

// Which server, in whose name. Without a doc comment, which would be the help of every command.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Connection {
    #[arg(
        long,
        global = true,
        help_heading = "Server",
        value_name = "URL",
        help = "The server's gateway [default: $ANNALS_SERVER, else http://127.0.0.1:8080]"
    )]
    pub(crate) server: Option<String>,

    #[arg(
        long,
        global = true,
        help_heading = "Server",
        value_name = "KEY",
        help = "The key to call with, as annals key new prints it [default: $ANNALS_KEY, else none]"
    )]
    key: Option<String>,
}

/// A server that can be called.
#[derive(Clone)]
pub(crate) struct Client {
    things: ThingsServiceClient<Transport>,
    events: EventsServiceClient<Transport>,
    search: SearchServiceClient<Transport>,
}

impl Client {
    /// Connects to the gateway.
    pub(crate) async fn connect(connection: Connection) -> anyhow::Result<Self> {
        let Connection { server, key } = connection;
        let server = server.or_else(|| config::variable("ANNALS_SERVER"));
        let server = server.unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
        let key = key.or_else(|| config::variable("ANNALS_KEY")).map(|key| bearer(&key)).transpose()?;
        if !server.starts_with("http://") {
            bail!("--server: `{server}` is not a URL such as http://127.0.0.1:8080");
        }
        let endpoint = Endpoint::from_shared(server.clone())
            .with_context(|| format!("--server: `{server}` is not a URL such as http://127.0.0.1:8080"))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|error| {
            let error = anyhow::Error::from(error);
            anyhow!(
                "no server answers at {server} ({}); start one with `annals serve` or name another with --server",
                error.root_cause()
            )
        })?;
        let in_its_name = move |mut request: http::Request<Body>| {
            if let Some(key) = &key {
                request.headers_mut().insert(AUTHORIZATION, key.clone());
            }
            request
        };
        let transport = Transport::new(channel.map_err(BoxError::from).map_request(in_its_name));
        Ok(Self::over(transport.clone(), transport.clone(), transport))
    }

    /// Calls things, events and search over these.
    pub(crate) fn over(things: Transport, events: Transport, search: Transport) -> Self {
        Self {
            things: ThingsServiceClient::new(things).max_decoding_message_size(MAX_MESSAGE),
            events: EventsServiceClient::new(events).max_decoding_message_size(MAX_MESSAGE),
            search: SearchServiceClient::new(search).max_decoding_message_size(MAX_MESSAGE),
        }
    }

    /// The things service.
    pub(crate) fn things(&self) -> ThingsServiceClient<Transport> {
        self.things.clone()
    }

    /// The events service.
    pub(crate) fn events(&self) -> EventsServiceClient<Transport> {
        self.events.clone()
    }

    /// The search service.
    pub(crate) fn search(&self) -> SearchServiceClient<Transport> {
        self.search.clone()
    }

    /// Which name the path stands for, for a read of the past.
    pub(crate) async fn resolve(
        &self,
        path: &Path,
        kind: EntityKind,
        as_of: Option<AsOf>,
    ) -> anyhow::Result<ResolveNameResponse> {
        let as_of = as_of.map(|as_of| convert::timestamp_to_wire(as_of.time()));
        let request = ResolveNameRequest { key: Some(key(path)), kind: kind.into(), as_of };
        Ok(self.things().resolve_name(request).await?.into_inner())
    }

    /// A position of events behind everything that was written before, for a read of the past without one name.
    pub(crate) async fn settle(&self, as_of: AsOf) -> anyhow::Result<String> {
        // Whether a ULID has happened, events knows.
        let as_of = match as_of {
            AsOf::Time(time) => Some(convert::timestamp_to_wire(time)),
            AsOf::Ulid(_) => None,
        };
        Ok(self.things().settle(SettleRequest { as_of }).await?.into_inner().cursor)
    }

    /// How the namespace of a thing is spelled, which may not be there any more.
    pub(crate) async fn style_of(&self, thing: &Thing) -> anyhow::Result<Style> {
        let request = ResolveNameRequest { key: thing.key.clone(), ..Default::default() };
        Ok(convert::style(self.things().resolve_name(request).await?.into_inner().style)?)
    }
}

/// A path as the server takes it.
pub(crate) fn key(path: &Path) -> Key {
    Key { path: path.to_string(), ..Key::default() }
}

fn bearer(key: &str) -> anyhow::Result<HeaderValue> {
    // Without the parser's words, which would repeat the key.
    let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {key}")) else {
        bail!("--key: it is not a key as `annals key new` prints it");
    };
    value.set_sensitive(true);
    Ok(value)
}
