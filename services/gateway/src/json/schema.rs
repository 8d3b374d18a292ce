//! A schema of a type as JSON.
//!
//! Owns the members of a schema over HTTP. The schema itself passes as it is.

use domain::Json;
use proto::things::v1 as wire;
use serve::Refusal;

use super::{Fields, Violations, Writer};

/// Members that only answers have; in a put they are ignored.
const OUTPUT_ONLY: [&str; 4] = ["ns", "type", "created_at", "updated_at"];

/// As JSON.
pub fn schema(schema: &wire::Schema) -> String {
    let mut json = Writer::object();
    write(&mut json, schema);
    json.finish()
}

/// Those of a namespace as JSON.
pub fn schemas(answer: &wire::ListSchemasResponse) -> String {
    let mut json = Writer::object();
    json.array("items", &answer.schemas, write);
    json.finish()
}

fn write(json: &mut Writer, schema: &wire::Schema) {
    let wire::Schema { ns, r#type, schema, created_at, updated_at } = schema;
    json.text("ns", ns);
    json.text("type", r#type);
    json.json("schema", schema);
    json.time("created_at", created_at.as_ref());
    json.time("updated_at", updated_at.as_ref());
}

/// The text of the schema that a body has.
pub(crate) fn read_schema(body: Json) -> Result<String, Refusal> {
    let mut violations = Violations::default();
    let mut fields = Fields::of(body, "", &["schema"], &OUTPUT_ONLY, &mut violations);
    let schema = fields.value("schema");
    if schema.is_none() {
        violations.add(domain::Invalid::new("schema", "is required"));
    }
    violations.or(schema.map(|schema| schema.to_string()).unwrap_or_default())
}
