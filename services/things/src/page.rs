//! Owns how the ends of pages are told in tokens. What a token is bound to is `serve::page`'s.

use domain::{Id, Key, Name, Namespace, Variant};
use ulid::Ulid;

use crate::store::After;

/// Where a page ends.
pub(crate) trait Position: Sized {
    /// As a token carries it.
    fn to_bytes(&self) -> Vec<u8>;
    /// As a token carried it.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl Position for Namespace {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_str().into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }
}

impl Position for Name {
    fn to_bytes(&self) -> Vec<u8> {
        [self.ns.as_str().as_bytes(), &[0], self.id.as_str().as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (ns, id) = std::str::from_utf8(bytes).ok()?.split_once('\0')?;
        Some(Self { ns: ns.parse().ok()?, id: Id::from_canonical(id).ok()? })
    }
}

impl Position for After {
    /// A key's texts have no NUL, and its namespace is not empty: an etag begins with one.
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Named(key) => [&key.name().to_bytes()[..], &[0], key.variant.as_str().as_bytes()].concat(),
            Self::Updated(etag) => [&[0], &etag.to_bytes()[..]].concat(),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if let Some(etag) = bytes.strip_prefix(&[0]) {
            return Some(Self::Updated(Ulid::from_bytes(etag.try_into().ok()?)));
        }
        let end = bytes.iter().rposition(|byte| *byte == 0)?;
        let (Name { ns, id }, variant) =
            (Name::from_bytes(&bytes[..end])?, std::str::from_utf8(&bytes[end + 1..]).ok()?);
        let variant = if variant.is_empty() { Variant::canonical() } else { variant.parse().ok()? };
        Some(Self::Named(Key { ns, id, variant }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_token() {
        let name = Name { ns: "onet".parse().unwrap(), id: Id::from_canonical("a/b c").unwrap() };
        assert_eq!(Name::from_bytes(&name.to_bytes()).as_ref(), Some(&name));
        for variant in [Variant::canonical(), "es".parse().unwrap()] {
            let position = After::Named(Key { variant, ..name.clone().into() });
            assert_eq!(After::from_bytes(&position.to_bytes()), Some(position));
        }
        let position = After::Updated(Ulid(u128::MAX / 3));
        assert_eq!(After::from_bytes(&position.to_bytes()), Some(position));
        for garbage in [&b"onet"[..], b"ONET\0a", b"onet\0", b"\xff\0a"] {
            assert_eq!(Name::from_bytes(garbage), None);
            assert_eq!(After::from_bytes(&[garbage, &[0]].concat()), None);
        }
        assert_eq!(After::from_bytes(b"\0short"), None);
    }
}
