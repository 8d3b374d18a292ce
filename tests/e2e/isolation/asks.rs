//! What is asked over HTTP: every route and parameter that the gateway's OpenAPI document names, for one secret.

use http::Method;
use proto::common::v1::EntityKind;

use super::{requests::Given, world::Secret};

/// One HTTP request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// As the OpenAPI document spells it.
    pub(crate) route: &'static str,
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Ask {
    fn new(route: &'static str, method: Method, url: String) -> Self {
        Self { route, method, url, headers: Vec::new(), body: String::new() }
    }

    fn get(route: &'static str, url: String) -> Self {
        Self::new(route, Method::GET, url)
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn json(mut self, body: String) -> Self {
        self.body = body;
        self.header("content-type", "application/json")
    }

    /// Whether it changes nothing.
    pub(crate) fn is_read(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD || self.route == SEARCH
    }

    /// The same with much more time, if it has a deadline of its own.
    pub(crate) fn waiting_longer(&self) -> Option<Self> {
        let mut longer = self.clone();
        let (_, timeout) = longer.headers.iter_mut().find(|(name, _)| *name == "grpc-timeout")?;
        "9S".clone_into(timeout);
        Some(longer)
    }

    /// Everything that it says.
    pub(crate) fn said(&self) -> Vec<u8> {
        let headers = self.headers.iter().map(|(_, value)| value.as_str());
        [self.url.as_str(), &self.body].into_iter().chain(headers).collect::<Vec<_>>().join("\n").into_bytes()
    }

    /// The same with other words of the same lengths.
    pub(crate) fn saying(&self, said: &[u8]) -> Self {
        let text = String::from_utf8(said.to_vec()).expect("it was text");
        let (url, rest) = text.split_at(self.url.len());
        let (body, mut rest) = rest[1..].split_at(self.body.len());
        let mut headers = self.headers.clone();
        for (_, value) in &mut headers {
            let (new, more) = rest[1..].split_at(value.len());
            new.clone_into(value);
            rest = more;
        }
        Self { url: url.to_owned(), body: body.to_owned(), headers, ..self.clone() }
    }
}

/// The routes that tell nothing of a tenant.
pub(crate) const OF_NOBODY: [&str; 5] =
    ["/_/healthz", "/_/readyz", "/_/metrics", "/_/openapi.json", "/_/reasons/{reason}"];

const THING: &str = "/{ns}/{id}";
const THINGS: &str = "/{ns}/";
const RELATIONSHIP: &str = "/_/relationships/{ns}/{id}";
const NAMESPACES: &str = "/_/namespaces";
const NAMESPACE: &str = "/_/namespaces/{ns}";
const SCHEMAS: &str = "/_/schemas/{ns}";
const ALL_THINGS: &str = "/_/things";
const EXPORT: &str = "/_/things:export";
const COUNT: &str = "/_/things:count";
const WRITE: &str = "/_/things:write";
const RESTORE: &str = "/_/things:restore";
const UNDELETE: &str = "/_/things:undelete";
const EVENTS: &str = "/_/events";
const SEARCH: &str = "/_/search";
const COMPLETE: &str = "/_/complete";
const AGGREGATE: &str = "/_/events/aggregate";
const TIMES: &str = "updated_from=2020-01-01T00:00:00Z&updated_until=2999-01-01T00:00:00Z";
/// The columns of text that figures are asked for by.
const TEXTS: [&str; 15] = [
    "mutation_type",
    "entity_type",
    "script_name",
    "dispatch_namespace",
    "worker_name",
    "url",
    "method",
    "user_agent",
    "ip",
    "outcome",
    "rpc_method",
    "severity",
    "category",
    "error_type",
    "error_message",
];
/// Followed apart: it has no end.
pub(crate) const TAIL: &str = "/_/events/tail";

/// Every request about `secret`.
pub(crate) fn asks(secret: &Secret, given: &Given) -> Vec<Ask> {
    let Secret { ns, id, variant, ulid, .. } = secret;
    let token = |list: &str| &given.page_tokens[list];
    let canonical = format!("/{ns}/{id}");
    let is_relationship = secret.kind == EntityKind::Relationship;
    let (route, url) = match (is_relationship, variant.as_str()) {
        (true, _) => (RELATIONSHIP, format!("/_/relationships{canonical}")),
        (false, "") => (THING, canonical.clone()),
        (false, variant) => (THING, format!("{canonical}%23{variant}")),
    };
    let of_past = [
        String::new(),
        format!("?at={ulid}"),
        "?view=history".to_owned(),
        format!("?view=history&page_size=1&page_token={}", token("History")),
        format!("?view=diff&from={ulid}"),
        format!("?view=diff&from={ulid}&to={ulid}"),
    ];
    let mut asks: Vec<_> = of_past.iter().map(|query| Ask::get(route, format!("{url}{query}"))).collect();
    asks.push(Ask::get(route, url.clone()).header("if-none-match", &format!("\"{ulid}\"")));
    asks.push(Ask::get(route, url.clone()).header("if-match", &format!("\"{ulid}\"")));
    asks.push(Ask::new(route, Method::HEAD, url.clone()));
    if !is_relationship {
        let links = "?view=relationships&direction=both";
        asks.extend([
            Ask::get(route, format!("{url}{links}")),
            Ask::get(route, format!("{url}{links}&type={}", secret.texts.r#type)),
            Ask::get(route, format!("{url}{links}&page_size=1&page_token={}", token("ListRelationships"))),
            Ask::get(route, format!("{url}?view=traverse&direction=both&max_depth=6&max_things=1000")),
            Ask::get(route, format!("{url}?view=traverse&type={}", secret.texts.r#type)),
            Ask::get(route, format!("{url}?view=similar&mode=hybrid&top_k=1000&ns={ns}&{TIMES}")),
            Ask::get(route, format!("{url}?view=similar&mode=semantic&ns_prefix={ns}&type={}", secret.texts.r#type)),
            Ask::get(route, format!("{url}?view=similar&wait_for={ulid}")).header("grpc-timeout", "500m"),
            Ask::get(route, format!("{url}?view=similar&where=/m={}&explain=true", secret.texts.data)),
            Ask::get(route, format!("{url}?view=similar&mode=hybrid&explain=true&page_token={}", token("Similar"))),
            Ask::get(route, format!("{url}?embedding=true")),
            Ask::get(route, url.clone()).header("accept", "text/markdown"),
            Ask::get(route, url.clone()).header("accept", "text/html"),
        ]);
    }
    if !variant.is_empty() {
        asks.push(Ask::get(THING, format!("{canonical}?variant={variant}")));
        asks.push(Ask::get(THING, format!("{canonical}?variant={variant}&at={ulid}")));
        asks.push(Ask::get(THING, canonical.clone()).header("accept-language", variant));
    }
    let list = format!("/{ns}/");
    asks.extend([
        Ask::get(THINGS, format!("{list}?page_size=1000")),
        Ask::get(THINGS, format!("{list}?type={}", secret.texts.r#type)),
        Ask::get(THINGS, format!("{list}?page_size=1&page_token={}", token("ListThings"))),
        Ask::get(THINGS, format!("{list}?order_by=updated_at%20desc&visibility=private&{TIMES}")),
        Ask::get(THINGS, format!("{list}?order_by=updated_at&where=/m={}&page_size=1000", secret.texts.data)),
        Ask::get(THINGS, format!("{list}?code={}&visibility=unlisted", secret.texts.code)),
        Ask::get(ALL_THINGS, format!("{ALL_THINGS}?page_size=1000&ns_prefix={ns}&{TIMES}")),
        Ask::get(ALL_THINGS, format!("{ALL_THINGS}?page_size=1000&order_by=id&where=/m={}", secret.texts.data)),
        Ask::get(ALL_THINGS, format!("{ALL_THINGS}?ns={ns}&type={}&visibility=private", secret.texts.r#type)),
        Ask::get(ALL_THINGS, format!("{ALL_THINGS}?code={}", secret.texts.code)),
        Ask::get(ALL_THINGS, format!("{ALL_THINGS}?page_size=1&page_token={}", token("ListThings"))),
        Ask::get(EXPORT, format!("{EXPORT}?ns={ns}")),
        Ask::get(EXPORT, format!("{EXPORT}?ns_prefix={ns}&page_size=1000")),
        Ask::get(EXPORT, format!("{EXPORT}?ns={ns}&page_size=1&page_token={}", token("ExportThings"))),
        Ask::get(COUNT, format!("{COUNT}?ns={ns}&visibility=private&{TIMES}")),
        Ask::get(COUNT, format!("{COUNT}?ns_prefix={ns}&where=/m={}", secret.texts.data)),
        Ask::get(COUNT, format!("{COUNT}?type={}", secret.texts.r#type)),
        Ask::get(COUNT, format!("{COUNT}?code={}", secret.texts.code)),
        Ask::get(THINGS, format!("{list}?at={ulid}&page_size=1000")),
        Ask::get(THINGS, format!("{list}?at={ulid}&type={}", secret.texts.r#type)),
        Ask::get(THINGS, format!("{list}?at={ulid}&page_size=1&page_token={}", token("ListStatesAt"))),
    ]);
    // In quotes: what is one letter away is another text.
    let word = &secret.texts.content;
    asks.extend([
        Ask::get(SEARCH, format!("{SEARCH}?q=%22{word}%22&top_k=1000&mode=lexical")),
        Ask::get(SEARCH, format!("{SEARCH}?q=mk*&ns={ns}&top_k=1000&{TIMES}")),
        Ask::get(SEARCH, format!("{SEARCH}?q=mk*&ns_prefix={ns}&type={}&top_k=1000", secret.texts.r#type)),
        Ask::get(SEARCH, format!("{SEARCH}?q=mk*&mode=semantic&ns={ns}&top_k=1000")),
        Ask::get(SEARCH, format!("{SEARCH}?q=mk*&mode=hybrid&ns={ns}&type={}&top_k=1000", secret.texts.r#type)),
        Ask::get(SEARCH, format!("{SEARCH}?q=%22{word}%22&wait_for={ulid}")).header("grpc-timeout", "500m"),
        Ask::get(SEARCH, format!("{SEARCH}?q=mk*&where=/m={}&where=/m&top_k=1000", secret.texts.data)),
        Ask::get(SEARCH, format!("{SEARCH}?q=mk*&facet=ns,type,/m&explain=true&top_k=1000")),
        Ask::get(SEARCH, format!("{SEARCH}?q=mk*&facet=ns,type,/m&explain=true&page_token={}", token("Search"))),
        Ask::get(SEARCH, format!("{SEARCH}?q=mk*&mode=semantic&facet=/m&where=/m={}&top_k=1000", secret.texts.data)),
        Ask::get(COMPLETE, format!("{COMPLETE}?q=mk&top_k=1000&ns={ns}&where=/m")),
        Ask::get(COMPLETE, format!("{COMPLETE}?q={id}&ns_prefix={ns}&type={}", secret.texts.r#type)),
        Ask::get(COMPLETE, format!("{COMPLETE}?q=mk&wait_for={ulid}")).header("grpc-timeout", "500m"),
        near(format!("{SEARCH}?mode=semantic&ns={ns}&top_k=1000&{TIMES}")),
        near(format!("{SEARCH}?mode=semantic&where=/m={}&facet=/m&explain=true&page_token=", secret.texts.data)),
        near(format!("{SEARCH}?q=mk*&mode=hybrid&ns_prefix={ns}&type={}", secret.texts.r#type)),
        near(format!("{SEARCH}?mode=semantic&wait_for={ulid}")).header("grpc-timeout", "500m"),
        Ask::get(THINGS, format!("{list}?q=%22{word}%22&mode=lexical&{TIMES}")),
        Ask::get(THINGS, format!("{list}?q=mk*&top_k=1000&type={}", secret.texts.r#type)),
        Ask::get(THINGS, format!("{list}?q=mk*&where=/m={}&facet=/m&explain=true", secret.texts.data)),
        Ask::get(THINGS, format!("{list}?q=%22{word}%22&wait_for={ulid}")).header("grpc-timeout", "500m"),
    ]);
    let (event_type, entity) = (&secret.event_type, secret.entity_id().replace('#', "%23"));
    let all = "page_size=1000&order=newest_first&from=2020-01-01T00:00:00Z&to=2999-01-01T00:00:00Z";
    asks.extend([
        Ask::get(EVENTS, format!("{EVENTS}?{all}&ns={ns}&id={entity}")),
        Ask::get(EVENTS, format!("{EVENTS}?{all}&ns={ns}&kind=relationship")),
        Ask::get(EVENTS, format!("{EVENTS}?{all}&event_type={event_type}")),
        Ask::get(EVENTS, format!("{EVENTS}?page_size=1&page_token={}", token("Query"))),
        Ask::get(EVENTS, format!("{EVENTS}?wait_for={ulid}")).header("grpc-timeout", "500m"),
    ]);
    let groups = "group_by=event_type,entity_ns,entity_id,entity_type,error_message&limit=10000";
    let figures = "measures=count&order_by=count&order=lowest_first&bucket=366d&bucket_by=event_timestamp";
    asks.extend([
        Ask::get(AGGREGATE, format!("{AGGREGATE}?{groups}&{figures}&ns={ns}&id={entity}&kind=thing")),
        Ask::get(AGGREGATE, format!("{AGGREGATE}?{groups}&ns={ns}&kind=relationship&without_mutations=false")),
        Ask::get(AGGREGATE, format!("{AGGREGATE}?{groups}&event_type={event_type}&has_exception=false")),
        Ask::get(
            AGGREGATE,
            format!("{AGGREGATE}?{groups}&from=2020-01-01T00:00:00Z&to=2999-01-01T00:00:00Z&without_mutations=true"),
        ),
        Ask::get(AGGREGATE, format!("{AGGREGATE}?{groups}&status_from=0&status_to=1000")),
        Ask::get(AGGREGATE, format!("{AGGREGATE}?wait_for={ulid}")).header("grpc-timeout", "500m"),
    ]);
    let texts = TEXTS.map(|column| format!("&{column}={entity}")).concat();
    asks.push(Ask::get(AGGREGATE, format!("{AGGREGATE}?{groups}{texts}")));
    let state = |rest: &str| format!(r#"{{"type":"T","data":{{"m":"{}"}}{rest}}}"#, secret.texts.data);
    let ends = format!(r#","from":"/{ns}/{id}","to":"/vault/to""#);
    let body = state(if is_relationship { &ends } else { "" });
    let caused = |ask: Ask| ask.header("annals-request-id", &secret.texts.request_id).header("annals-cause", id);
    let etag = format!("\"{ulid}\"");
    asks.push(caused(Ask::new(route, Method::PUT, url.clone()).json(body.clone())));
    asks.push(Ask::new(route, Method::PUT, url.clone()).json(body.clone()).header("if-match", &etag));
    asks.push(Ask::new(route, Method::PUT, url.clone()).json(body).header("if-none-match", "*"));
    if !is_relationship {
        let patch = Ask::new(route, Method::PATCH, url.clone()).json(state(""));
        asks.push(caused(patch.clone()));
        asks.push(patch.clone().header("if-match", &etag));
        asks.push(patch.header("if-none-match", "*"));
    }
    if !variant.is_empty() {
        let url = format!("{canonical}?variant={variant}");
        asks.push(Ask::new(THING, Method::PUT, url.clone()).json(state("")));
        asks.push(Ask::new(THING, Method::PATCH, url.clone()).json(state("")));
        asks.push(Ask::new(THING, Method::DELETE, url));
    }
    asks.push(Ask::new(route, Method::DELETE, url.clone()).header("if-match", &etag));
    asks.push(caused(Ask::new(route, Method::DELETE, url.clone())));
    asks.push(Ask::get(NAMESPACE, format!("/_/namespaces/{ns}")));
    asks.push(Ask::get(NAMESPACES, format!("{NAMESPACES}?ns_prefix={ns}&page_size=1000")));
    asks.push(Ask::get(NAMESPACES, format!("{NAMESPACES}?page_size=1&page_token={}", token("ListNamespaces"))));
    asks.push(Ask::new(NAMESPACE, Method::DELETE, format!("/_/namespaces/{ns}")));
    asks.push(Ask::new(NAMESPACE, Method::PUT, format!("/_/namespaces/{ns}")).json(r#"{"style":"literal"}"#.into()));
    let schemas = format!("/_/schemas/{ns}");
    let of_type = format!("{schemas}?type={}", secret.texts.r#type);
    asks.push(Ask::get(SCHEMAS, schemas));
    asks.push(Ask::get(SCHEMAS, of_type.clone()));
    asks.push(Ask::new(SCHEMAS, Method::PUT, of_type.clone()).json(r#"{"schema":true}"#.into()));
    asks.push(Ask::new(SCHEMAS, Method::DELETE, of_type));
    let changes = format!(
        r#"{{"changes":[{{"put_thing":{{"url":"/{ns}/{id}","type":"T"}}}},{{"delete_thing":{{"url":"/{ns}/{id}"}}}},
            {{"put_relationship":{{"url":"/_/relationships/{ns}/{id}","type":"T","from":"/{ns}/{id}","to":"/{ns}/{id}"}}}}]}}"#
    );
    if !is_relationship {
        let restored = |rest: &str| format!(r#"{{"url":"{url}"{rest}}}"#);
        let was = restored(&format!(r#","at":"{ulid}""#));
        asks.push(caused(Ask::new(RESTORE, Method::POST, RESTORE.to_owned()).json(was)));
        let was = restored(r#","at":"2020-01-01T00:00:00Z","condition":{"update_only":true}"#);
        asks.push(Ask::new(RESTORE, Method::POST, RESTORE.to_owned()).json(was));
        asks.push(caused(Ask::new(UNDELETE, Method::POST, UNDELETE.to_owned()).json(restored(""))));
    }
    asks.push(Ask::new(WRITE, Method::POST, WRITE.to_owned()).json(changes));
    let about = format!(r#"[{{"event_type":"log","ulid":"{ulid}","entity_ns":"{ns}","entity_id":"{id}"}}]"#);
    asks.push(Ask::new(EVENTS, Method::POST, EVENTS.to_owned()).json(about));
    asks
}

/// A search near a vector of the default embedder that everything is somewhat near.
fn near(url: String) -> Ask {
    Ask::new(SEARCH, Method::POST, url).json(format!(r#"{{"vector":[{}]}}"#, ["1"; 768].join(",")))
}

/// Every way to follow `secret`.
pub(crate) fn follows(secret: &Secret, given: &Given) -> Vec<Ask> {
    let Secret { ns, event_type, .. } = secret;
    let entity = secret.entity_id().replace('#', "%23");
    vec![
        Ask::get(TAIL, format!("{TAIL}?start=beginning&ns={ns}&id={entity}")),
        Ask::get(TAIL, format!("{TAIL}?cursor={}&event_type={event_type}", given.cursor)),
        Ask::get(TAIL, TAIL.to_owned()).header("last-event-id", &given.cursor),
    ]
}
