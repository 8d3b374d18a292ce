//! Names.

use domain::{Id, Invalid, Key, Name, Reference, Variant};

use crate::common::v1 as wire;

/// The name that a caller gives, by its parts or by a path. `field` is named in refusals.
pub fn reference(field: &str, key: Option<wire::Key>) -> Result<Reference, Invalid> {
    let key = key.ok_or_else(|| Invalid::new(field, "is required"))?;
    parse_reference(key).map_err(|error| error.within(field))
}

fn parse_reference(key: wire::Key) -> Result<Reference, Invalid> {
    let wire::Key { ns, id, variant, path } = key;
    if path.is_empty() {
        let (ns, variant) = (ns.parse()?, parse_variant(&variant)?);
        if id.is_empty() {
            return Err(Invalid::new("id", "is required"));
        }
        return Ok(Reference::Parts { ns, id: id.into(), variant });
    }
    if !(ns.is_empty() && id.is_empty() && variant.is_empty()) {
        return Err(Invalid::new("path", "must be given instead of ns, id and variant, not beside them"));
    }
    Ok(Reference::Path(path.parse()?))
}

/// The canonical key that a caller gives by its parts. `field` is named in refusals.
pub fn canonical_key(field: &str, key: Option<wire::Key>) -> Result<Key, Invalid> {
    let key = key.ok_or_else(|| Invalid::new(field, "is required"))?;
    parse_canonical(&key).map_err(|error| error.within(field))
}

fn parse_canonical(key: &wire::Key) -> Result<Key, Invalid> {
    let wire::Key { ns, id, variant, path } = key;
    if !path.is_empty() {
        return Err(Invalid::new("path", "must be resolved first, by ThingsService.ResolveName"));
    }
    Ok(Key { ns: ns.parse()?, id: Id::from_canonical(id)?, variant: parse_variant(variant)? })
}

fn parse_variant(variant: &str) -> Result<Variant, Invalid> {
    if variant.is_empty() { Ok(Variant::canonical()) } else { variant.parse() }
}

/// On the wire.
pub fn key_to_wire(key: &Key) -> wire::Key {
    let Key { ns, id, variant } = key;
    wire::Key { ns: ns.as_str().into(), id: id.as_str().into(), variant: variant.as_str().into(), path: String::new() }
}

/// On the wire.
pub fn name_to_wire(name: &Name) -> wire::Key {
    let Name { ns, id } = name;
    wire::Key { ns: ns.as_str().into(), id: id.as_str().into(), variant: String::new(), path: String::new() }
}
