//! Pages of a list: how large one is, and the token that says where the next one begins.
//!
//! Owns the sizes and the binding of a token to the tenant and the question that it was given out for. A token gives no
//! right: every page is checked like the first. Never knows what a position is.

mod seal;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use domain::TenantId;
use proto::common::v1::Reason;
use sha2::{Digest as _, Sha256};

pub use self::seal::Seal;
use crate::refusal::Refusal;

/// Items on a page whose size nobody gave.
const DEFAULT_SIZE: usize = 50;
/// Items on the largest page.
const MAX_SIZE: usize = 1_000;
/// Bytes after which a page ends before its size.
pub const MAX_BYTES: usize = 8 << 20;

/// The size that a request asks for: 1 to 1,000, or 50 for 0.
pub fn size(asked: i32) -> Result<usize, Refusal> {
    match usize::try_from(asked) {
        Ok(0) => Ok(DEFAULT_SIZE),
        Ok(size) if size <= MAX_SIZE => Ok(size),
        _ => Err(Refusal::invalid_field("page_size", "must be between 1 and 1,000")),
    }
}

/// What a token is bound to: the tenant and the question.
#[derive(Clone, Copy, Debug)]
pub struct Binding([u8; 16]);

impl Binding {
    /// Of `tenant` and all that makes the question, but its page; each part counts for itself.
    pub fn new(tenant: &TenantId, question: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for part in [tenant.as_str().as_bytes()].iter().chain(question) {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Self(*digest.finalize().first_chunk().expect("SHA-256 has 32 bytes"))
    }

    /// The token of the page that begins at `position`.
    pub fn token(self, position: &[u8]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode([&self.0, position].concat())
    }

    /// Where the page of `token` begins, as `read` understands it; `None` for the first page, whose token is empty.
    /// `PAGE_TOKEN_INVALID` for a token of another tenant or question, or none of ours.
    pub fn position<P>(self, token: &str, read: impl FnOnce(&[u8]) -> Option<P>) -> Result<Option<P>, Refusal> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
        let position = bytes.and_then(|bytes| read(bytes.strip_prefix(&self.0)?));
        position.map(Some).ok_or_else(|| {
            let message =
                "page_token was not given out for this list: repeat the request of the page before, with its token";
            Refusal::new(Reason::PageTokenInvalid, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_tenant_and_question_only() {
        let tenant = TenantId::local();
        let own = Binding::new(&tenant, &[b"things", b"onet"]);
        let token = own.token(b"here");
        let read = |bytes: &[u8]| Some(bytes.to_vec());
        assert_eq!(own.position(&token, read), Ok(Some(b"here".to_vec())));
        assert_eq!(own.position("", read), Ok(None));
        let foreign: TenantId = "foreign".parse().unwrap();
        for other in [
            Binding::new(&foreign, &[b"things", b"onet"]),
            Binding::new(&tenant, &[b"relationships", b"onet"]),
            Binding::new(&tenant, &[b"thingso", b"net"]),
        ] {
            assert_eq!(other.position(&token, read).unwrap_err().reason, Reason::PageTokenInvalid);
        }
        for garbage in ["x", "AAAA", "%%", &token[2..]] {
            assert!(own.position(garbage, read).is_err(), "{garbage}");
        }
        assert!(own.position(&token, |_| None::<()>).is_err());
    }

    #[test]
    fn a_page_size_is_50_or_what_is_asked_for_up_to_1000() {
        assert_eq!(size(0), Ok(50));
        assert_eq!(size(1_000), Ok(1_000));
        assert!(size(1_001).is_err());
        assert!(size(-1).is_err());
    }
}
