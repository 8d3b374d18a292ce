//! Positions that a list may end at without telling them, because the caller may not see what stands there.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Binding;
use crate::refusal::Refusal;

/// Positions are filled up to a multiple of this, so that the length of a token does not tell that of a name.
const BLOCK: usize = 64;
const TAG: usize = 16;

/// Makes and reads tokens whose position only holders of the secret can read or make. Equal positions have equal tokens.
///
/// The construction is that of SIV (RFC 5297) with SHA-256: a tag over the binding and the position, which the position
/// is masked with. The tag covers the binding: else somebody could have a position compared with names of their own.
#[derive(Clone)]
pub struct Seal([u8; 32]);

impl Seal {
    /// By a secret of at least 80 random bits.
    pub fn new(secret: &[u8]) -> Self {
        Self(Sha256::new_with_prefix(b"annals page tokens").chain_update(secret).finalize().into())
    }

    /// The token of the page that begins at `position`.
    pub fn token(&self, binding: Binding, position: &[u8]) -> String {
        let mut sealed = [position, &[1]].concat();
        sealed.resize(sealed.len().next_multiple_of(BLOCK), 0);
        let tag = self.tag(binding, &sealed);
        self.mask(tag, &mut sealed);
        binding.token(&[&tag[..], &sealed].concat())
    }

    /// Where the page of `token` begins, as [`Binding::position`].
    pub fn position<P>(
        &self,
        binding: Binding,
        token: &str,
        read: impl FnOnce(&[u8]) -> Option<P>,
    ) -> Result<Option<P>, Refusal> {
        binding.position(token, |bytes| {
            let (tag, sealed) = bytes.split_first_chunk::<TAG>()?;
            let mut position = sealed.to_vec();
            self.mask(*tag, &mut position);
            if !bool::from(self.tag(binding, &position).ct_eq(tag)) {
                return None;
            }
            let end = position.iter().rposition(|byte| *byte != 0)?;
            read(&position[..end])
        })
    }

    fn tag(&self, binding: Binding, position: &[u8]) -> [u8; TAG] {
        let digest = Sha256::new_with_prefix(self.0).chain_update(b"tag").chain_update(binding.0);
        *digest.chain_update(position).finalize().first_chunk().expect("SHA-256 has 32 bytes")
    }

    /// Its own inverse.
    fn mask(&self, tag: [u8; TAG], position: &mut [u8]) {
        for (number, chunk) in position.chunks_mut(32).enumerate() {
            let digest = Sha256::new_with_prefix(self.0).chain_update(b"mask").chain_update(tag);
            let mask = digest.chain_update((number as u64).to_le_bytes()).finalize();
            chunk.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::TenantId;

    use super::*;

    fn binding(question: &[u8]) -> Binding {
        Binding::new(&TenantId::local(), &[question])
    }

    #[test]
    fn a_sealed_position_is_read_back_and_not_told() {
        let seal = Seal::new(b"secret");
        for position in [&b""[..], b"here", b"\0", &[b'x'; 63], &[b'x'; 64], &[b'x'; 3_000]] {
            let token = seal.token(binding(b"own"), position);
            let read = seal.position(binding(b"own"), &token, |bytes| Some(bytes.to_vec()));
            assert_eq!(read, Ok(Some(position.to_vec())));
            let told = binding(b"own").position(&token, |bytes| Some(bytes.to_vec())).unwrap().unwrap();
            assert!(position.len() < 4 || !told.windows(4).any(|part| position.starts_with(part)));
        }
        let length = |position: &[u8]| seal.token(binding(b"own"), position).len();
        assert_eq!(length(b"a"), length(b"a longer name"));
    }

    #[test]
    fn a_sealed_position_is_good_for_its_list_and_secret_only() {
        let seal = Seal::new(b"secret");
        let token = seal.token(binding(b"own"), b"here");
        let read = |bytes: &[u8]| Some(bytes.to_vec());
        assert!(Seal::new(b"other").position(binding(b"own"), &token, read).is_err());
        // The binding has no secret: the tag must tell that it was exchanged.
        let sealed = binding(b"own").position(&token, read).unwrap().unwrap();
        assert!(seal.position(binding(b"other"), &binding(b"other").token(&sealed), read).is_err());
        assert!(seal.position(binding(b"own"), &binding(b"own").token(&sealed[1..]), read).is_err());
        assert!(seal.position(binding(b"own"), &binding(b"own").token(b"here"), read).is_err());
        assert_eq!(seal.position(binding(b"own"), "", read), Ok(None));
    }
}
