//! Owns what an event is: its columns and their rules. Never stores one and never derives a column.

use std::{fmt, str::FromStr};

use ulid::Ulid;

use crate::{Invalid, Json, Key, MutationType, Name, Namespace, TenantId, Timestamp, TypeName, json};

/// An event as it is stored.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// Its id, unique in the tenant.
    pub ulid: Ulid,
    /// Who it belongs to.
    pub tenant: TenantId,
    /// Intake time.
    pub timestamp: Timestamp,
    /// What the sender gave, with derived columns filled.
    pub body: EventBody,
    /// How long it is kept.
    pub keep: Keep,
    /// Epoch of the writer that stored it (`pipeline_instance`).
    pub epoch: u64,
    /// Its position in the journal.
    pub journal_offset: u64,
}

/// The columns that a sender gives; text columns that are absent are `None`, never empty.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "each is the column of its name: design and docs/wire.md")]
pub struct EventBody {
    pub event_timestamp: Option<Timestamp>,
    pub event_type: EventType,
    pub mutation_type: Option<MutationType>,
    pub entity: Option<Entity>,
    pub script_name: Option<Box<str>>,
    pub dispatch_namespace: Option<Box<str>>,
    pub worker_name: Option<Box<str>>,
    pub url: Option<Box<str>>,
    pub method: Option<Box<str>>,
    pub cf_ray: Option<Box<str>>,
    pub user_agent: Option<Box<str>>,
    pub ip: Option<Box<str>>,
    pub status: Option<u16>,
    pub outcome: Option<Box<str>>,
    pub rpc_method: Option<Box<str>>,
    pub severity: Option<Severity>,
    pub category: Option<Box<str>>,
    pub error_type: Option<Box<str>>,
    pub error_message: Option<Box<str>>,
    pub has_exception: bool,
    pub cpu_time: Option<f64>,
    pub wall_time: Option<f64>,
    pub data: Option<JsonText>,
    pub metadata: Option<JsonText>,
    pub log_count: Option<u32>,
    pub logs: Option<JsonText>,
    pub exception_count: Option<u32>,
    pub exceptions: Option<JsonText>,
    pub retry_count: u32,
}

/// What an event is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Entity {
    /// Thing or relationship.
    pub kind: EntityKind,
    /// Its canonical name; a relationship has the canonical variant.
    pub key: Key,
    /// Its type, where known.
    pub entity_type: Option<TypeName>,
}

/// Things and relationships have name spaces of their own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum EntityKind {
    /// A thing.
    #[default]
    Thing,
    /// A relationship.
    Relationship,
}

impl EntityKind {
    /// `thing` or `relationship`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Thing => "thing",
            Self::Relationship => "relationship",
        }
    }
}

impl Entity {
    /// The thing of that key.
    pub fn thing(key: Key, entity_type: TypeName) -> Self {
        Self { kind: EntityKind::Thing, key, entity_type: Some(entity_type) }
    }

    /// The relationship of that name.
    pub fn relationship(name: Name, entity_type: TypeName) -> Self {
        Self { kind: EntityKind::Relationship, key: Key::from(name), entity_type: Some(entity_type) }
    }

    /// Its namespace.
    pub fn ns(&self) -> &Namespace {
        &self.key.ns
    }
}

/// `log`, `mutation`, `metric`, `error` or another word of `[a-z][a-z0-9_.-]{0,63}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventType(Box<str>);

impl EventType {
    /// The type of events that say how a thing or relationship changed.
    pub fn mutation() -> Self {
        Self("mutation".into())
    }

    /// Whether this is `mutation`, which only a relay may append.
    pub fn is_mutation(&self) -> bool {
        &*self.0 == "mutation"
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventType {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
        let starts_well = text.starts_with(|first: char| first.is_ascii_lowercase());
        if !starts_well || text.len() > 64 || !text.bytes().all(legal) {
            return Err(Invalid::new("event_type", "must match [a-z][a-z0-9_.-]{0,63}"));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How bad an event is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "the words say it")]
pub enum Severity {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Severity {
    const ALL: [Self; 6] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    /// In lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

impl FromStr for Severity {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.as_str() == text)
            .ok_or_else(|| Invalid::new("severity", "must be trace, debug, info, warn, error or fatal"))
    }
}

/// How long an event is kept, stamped when it is appended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the words say it")]
pub enum Keep {
    Days30,
    Days90,
    Year1,
    Forever,
}

impl Keep {
    /// The default: mutations for ever, everything else a year.
    pub fn of(event_type: &EventType) -> Self {
        if event_type.is_mutation() { Self::Forever } else { Self::Year1 }
    }

    /// `30d`, `90d`, `1y` or `forever`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Days30 => "30d",
            Self::Days90 => "90d",
            Self::Year1 => "1y",
            Self::Forever => "forever",
        }
    }
}

impl FromStr for Keep {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [Self::Days30, Self::Days90, Self::Year1, Self::Forever]
            .into_iter()
            .find(|keep| keep.as_str() == text)
            .ok_or_else(|| Invalid::new("keep", "must be 30d, 90d, 1y or forever"))
    }
}

/// The compact text of a JSON value of one shape.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JsonText(Box<str>);

/// Which JSON values a column takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Any value.
    Any,
    /// An object.
    Object,
    /// An array.
    Array,
}

impl JsonText {
    /// The compact form of `text`, at most `max_bytes` long and of that shape. `field` is named in the refusal.
    pub fn parse(field: &str, text: &str, shape: Shape, max_bytes: usize) -> Result<Self, Invalid> {
        if text.len() > max_bytes {
            return Err(Invalid::new(field, format!("must be at most {max_bytes} bytes")));
        }
        let value = json::parse(text).map_err(|error| error.into_invalid(field))?;
        let fits = match shape {
            Shape::Any => true,
            Shape::Object => matches!(value, Json::Object(_)),
            Shape::Array => matches!(value, Json::Array(_)),
        };
        if !fits {
            let noun = if shape == Shape::Object { "object" } else { "array" };
            return Err(Invalid::new(field, format!("must be a JSON {noun}")));
        }
        Ok(Self(value.to_string().into()))
    }

    /// Text that is compact JSON by construction: this process wrote it, or read it from its own store.
    pub fn trusted(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
