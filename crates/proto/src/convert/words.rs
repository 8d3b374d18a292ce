//! Closed sets of words.

use domain::{EntityKind, Invalid, Style, Visibility};

use crate::common::v1 as wire;

/// The visibility; public where unspecified.
pub fn visibility(word: i32) -> Result<Visibility, Invalid> {
    match wire::Visibility::try_from(word) {
        Ok(wire::Visibility::Unspecified | wire::Visibility::Public) => Ok(Visibility::Public),
        Ok(wire::Visibility::Private) => Ok(Visibility::Private),
        Ok(wire::Visibility::Unlisted) => Ok(Visibility::Unlisted),
        Err(_) => Err(Invalid::new("visibility", "must be public, private or unlisted")),
    }
}

/// On the wire.
pub fn visibility_to_wire(visibility: Visibility) -> wire::Visibility {
    match visibility {
        Visibility::Public => wire::Visibility::Public,
        Visibility::Private => wire::Visibility::Private,
        Visibility::Unlisted => wire::Visibility::Unlisted,
    }
}

/// The style; wiki where unspecified.
pub fn style(word: i32) -> Result<Style, Invalid> {
    match wire::Style::try_from(word) {
        Ok(wire::Style::Unspecified | wire::Style::Wiki) => Ok(Style::Wiki),
        Ok(wire::Style::Literal) => Ok(Style::Literal),
        Err(_) => Err(Invalid::new("style", "must be wiki or literal")),
    }
}

/// On the wire.
pub fn style_to_wire(style: Style) -> wire::Style {
    match style {
        Style::Wiki => wire::Style::Wiki,
        Style::Literal => wire::Style::Literal,
    }
}

/// The kind, `None` where unspecified. `field` is named in the refusal.
pub fn entity_kind(field: &str, word: i32) -> Result<Option<EntityKind>, Invalid> {
    match wire::EntityKind::try_from(word) {
        Ok(wire::EntityKind::Unspecified) => Ok(None),
        Ok(wire::EntityKind::Thing) => Ok(Some(EntityKind::Thing)),
        Ok(wire::EntityKind::Relationship) => Ok(Some(EntityKind::Relationship)),
        Err(_) => Err(Invalid::new(field, "must be a thing or a relationship")),
    }
}

/// On the wire.
pub fn entity_kind_to_wire(kind: EntityKind) -> wire::EntityKind {
    match kind {
        EntityKind::Thing => wire::EntityKind::Thing,
        EntityKind::Relationship => wire::EntityKind::Relationship,
    }
}
