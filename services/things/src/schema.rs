//! Schemas of data: what one is, and where data break it.
//!
//! Owns the only use of the validator, and the bounds within which it works in time that grows with the data alone. Never
//! decides when data must satisfy a schema: `schemas` and `put` do.

mod breach;
mod shape;

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

use domain::{Data, Invalid, Json, Namespace, TenantId, Timestamp, TypeName, json};
use jsonschema::{Draft, PatternOptions, ValidationOptions, Validator, ValidatorMap};
use serde_json::{Map, Number, Value};
use serve::Refusal;
use sha2::{Digest as _, Sha256};

pub(crate) use breach::{Breach, MAX_BREACHES};

/// The longest text of a schema, in bytes.
pub(crate) const MAX_TEXT: usize = 64 << 10;
/// The largest pattern, compiled, and what its matching may keep, in bytes.
const PATTERN_BYTES: usize = 1 << 20;
/// Validators that are kept, and the bytes of the texts that they were made of.
const KEPT: usize = 256;
const KEPT_BYTES: u64 = 4 << 20;

/// A schema, compiled.
pub(crate) struct Schema {
    text: Box<str>,
    validator: Validator,
    /// Of each of its parts, made when data break it first.
    parts: OnceLock<Parts>,
}

/// A schema and the validators of its parts, by their places.
struct Parts {
    value: Value,
    validators: ValidatorMap,
}

/// A registered schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Registered {
    pub(crate) ns: Namespace,
    pub(crate) thing_type: TypeName,
    /// Compact.
    pub(crate) text: Box<str>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl Schema {
    /// The schema that `text` says; refused, as the field `schema`, where it breaks a rule or a bound.
    pub(crate) fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |rule: String| Invalid::new("schema", rule);
        if text.len() > MAX_TEXT {
            return Err(invalid("must be at most 64 KiB".into()));
        }
        let schema = json::parse(text).map_err(|error| error.into_invalid("schema"))?;
        if !matches!(schema, Json::Object(_) | Json::Bool(_)) {
            return Err(invalid("must be a JSON object, or true or false".into()));
        }
        shape::check(&schema).map_err(|(at, rule)| invalid(format!("{}: {rule}", breach::shown(&at))))?;
        let validator = options().build(&value(&schema)).map_err(|error| {
            let rule = match error.kind().keyword() {
                "format" => "must be a regular expression that is matched in linear time, of a bounded size".into(),
                _ => breach::short(&error.to_string()),
            };
            invalid(format!("{}: {rule}", breach::shown(error.instance_path().as_str())))
        })?;
        Ok(Self { text: schema.to_string().into(), validator, parts: OnceLock::new() })
    }

    /// The schema of a type, whose text was taken before. Some of those that were asked for last are kept.
    pub(crate) fn kept(tenant: &TenantId, registered: &Registered) -> Result<Arc<Self>, Refusal> {
        static SCHEMAS: LazyLock<moka::sync::Cache<[u8; 32], Arc<Schema>>> = LazyLock::new(|| {
            let weight = |_: &[u8; 32], schema: &Arc<Schema>| {
                let share = KEPT_BYTES as usize / KEPT;
                schema.text.len().max(share) as u32
            };
            moka::sync::Cache::builder().weigher(weight).max_capacity(KEPT_BYTES).build()
        });
        let Registered { ns, thing_type, text, .. } = registered;
        let mut digest = Sha256::new();
        for part in [tenant.as_str(), ns.as_str(), thing_type.as_str(), text] {
            digest.update(part);
            digest.update([0]);
        }
        let digest: [u8; 32] = digest.finalize().into();
        if let Some(schema) = SCHEMAS.get(&digest) {
            return Ok(schema);
        }
        let schema = Arc::new(Self::parse(text).map_err(Refusal::internal)?);
        SCHEMAS.insert(digest, Arc::clone(&schema));
        Ok(schema)
    }

    /// Compact.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where data break it, the first few; none if they satisfy it. Absent data count as an empty object.
    pub(crate) fn breaches(&self, data: Option<&Data>, limit: usize) -> Vec<Breach> {
        let data = data.map_or_else(|| Value::Object(Map::new()), |data| value(&data.to_json()));
        if self.validator.is_valid(&data) {
            return Vec::new();
        }
        let parts = self.parts.get_or_init(|| {
            let value = value(&json::parse(&self.text).expect("a schema was parsed before"));
            let validators = options().build_map(&value).expect("a schema was compiled before");
            Parts { value, validators }
        });
        breach::find(&parts.value, &parts.validators, &data, limit)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Schema").field(&self.text).finish()
    }
}

fn options() -> ValidationOptions<'static> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .should_validate_formats(false)
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES))
}

/// As the validator takes it: numbers are integers of 64 bits or doubles.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(_) => {
            let integer = json.as_i64().map(Number::from).or_else(|| json.as_u64().map(Number::from));
            // One that is too large for a double is the largest.
            let double = || json.as_f64().map(|number| number.clamp(f64::MIN, f64::MAX)).and_then(Number::from_f64);
            integer.or_else(double).map_or(Value::Null, Value::Number)
        }
        Json::String(text) => Value::String(text.to_string()),
        Json::Array(items) => Value::Array(items.iter().map(value).collect()),
        Json::Object(members) => {
            Value::Object(members.iter().map(|(key, member)| (key.to_string(), value(member))).collect())
        }
    }
}

#[cfg(test)]
#[path = "schema/schema_test.rs"]
mod tests;
