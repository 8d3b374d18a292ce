//! The wire: messages and clients generated from `proto/`, and their conversions from and to `domain`.
//!
//! Owns every `TryFrom` and `From` between the two; nothing else in the workspace converts. Never does I/O.

/// `annals.common.v1`.
pub mod common {
    /// Names, visibility and reasons.
    pub mod v1 {
        #![allow(
            missing_docs,
            clippy::pedantic,
            clippy::disallowed_methods,
            reason = "generated from commented protos"
        )]
        tonic::include_proto!("annals.common.v1");
    }
}

/// `annals.things.v1`.
pub mod things {
    /// The things service.
    pub mod v1 {
        #![allow(
            missing_docs,
            clippy::pedantic,
            clippy::disallowed_methods,
            reason = "generated from commented protos"
        )]
        tonic::include_proto!("annals.things.v1");
    }
}

/// `annals.events.v1`.
pub mod events {
    /// The events service.
    pub mod v1 {
        #![allow(
            missing_docs,
            clippy::pedantic,
            clippy::disallowed_methods,
            reason = "generated from commented protos"
        )]
        tonic::include_proto!("annals.events.v1");
    }
}

/// `annals.search.v1`.
pub mod search {
    /// The search service.
    pub mod v1 {
        #![allow(
            missing_docs,
            clippy::pedantic,
            clippy::disallowed_methods,
            reason = "generated from commented protos"
        )]
        tonic::include_proto!("annals.search.v1");
    }
}

/// Every file of the protos and what they import, as an encoded `google.protobuf.FileDescriptorSet`; for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

pub mod convert;
