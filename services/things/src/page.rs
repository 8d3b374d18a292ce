//! Owns how the ends of pages are told in tokens. What a token is bound to is `serve::page`'s.

use domain::{Id, Name, Variant};

/// Where a page ends: two texts without NUL.
pub(crate) trait Position: Sized {
    /// The texts.
    fn parts(&self) -> (&str, &str);
    /// The position that the texts are of.
    fn from_parts(first: &str, second: &str) -> Option<Self>;

    /// As a token carries it.
    fn to_bytes(&self) -> Vec<u8> {
        let (first, second) = self.parts();
        [first.as_bytes(), &[0], second.as_bytes()].concat()
    }

    /// As a token carried it.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (first, second) = std::str::from_utf8(bytes).ok()?.split_once('\0')?;
        Self::from_parts(first, second)
    }
}

impl Position for (Id, Variant) {
    fn parts(&self) -> (&str, &str) {
        (self.0.as_str(), self.1.as_str())
    }

    fn from_parts(id: &str, variant: &str) -> Option<Self> {
        let variant = if variant.is_empty() { Variant::canonical() } else { variant.parse().ok()? };
        Some((Id::from_canonical(id).ok()?, variant))
    }
}

impl Position for Name {
    fn parts(&self) -> (&str, &str) {
        (self.ns.as_str(), self.id.as_str())
    }

    fn from_parts(ns: &str, id: &str) -> Option<Self> {
        Some(Self { ns: ns.parse().ok()?, id: Id::from_canonical(id).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_token() {
        let name = Name { ns: "onet".parse().unwrap(), id: Id::from_canonical("15-1252.00").unwrap() };
        assert_eq!(Name::from_bytes(&name.to_bytes()), Some(name));
        for variant in [Variant::canonical(), "es".parse().unwrap()] {
            let position = (Id::from_canonical("a/b c").unwrap(), variant);
            assert_eq!(<(Id, Variant)>::from_bytes(&position.to_bytes()), Some(position));
        }
        for garbage in [&b"onet"[..], b"ONET\0a", b"onet\0", b"\xff\0a"] {
            assert_eq!(Name::from_bytes(garbage), None);
        }
    }
}
