//! Owns how values without a column type of their own are kept, the same in every backend. Never runs a statement.

use domain::{Embedding, Invalid, Name};
use prost::Message as _;
use proto::convert::{WriteResult, write_result, write_result_to_wire};
use proto::things::v1 as wire;
use serve::Refusal;
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

/// A ULID as it is kept.
pub(super) fn ulid_bytes(ulid: Ulid) -> [u8; 16] {
    ulid.0.to_be_bytes()
}

/// An embedding as it is kept: little-endian 32-bit floats.
pub(super) fn embedding_bytes(embedding: &Embedding) -> Vec<u8> {
    embedding.as_slice().iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// An embedding that was kept.
pub(super) fn embedding(bytes: &[u8]) -> Result<Embedding, Invalid> {
    let (numbers, _) = bytes.as_chunks();
    Embedding::try_from(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect::<Vec<_>>())
}

/// The answer to a write, as it is kept for a repetition.
pub(super) fn answer_bytes(results: &[WriteResult]) -> Vec<u8> {
    wire::WriteThingsResponse { results: results.iter().cloned().map(write_result_to_wire).collect() }.encode_to_vec()
}

/// An answer that was kept.
pub(super) fn answer(bytes: &[u8]) -> Result<Vec<WriteResult>, Refusal> {
    let kept = wire::WriteThingsResponse::decode(bytes).map_err(Refusal::internal)?;
    kept.results.into_iter().map(|result| write_result(result).map_err(Refusal::internal)).collect()
}

/// What an end is indexed by: 16 bytes of its name's hash, because two long names do not fit an index row everywhere.
pub(super) fn end_hash(name: &Name) -> [u8; 16] {
    let digest = Sha256::new_with_prefix(name.ns.as_str()).chain_update([0]).chain_update(name.id.as_str()).finalize();
    *digest.first_chunk().expect("SHA-256 has 32 bytes")
}
