//! What a request puts again, and in whose name the past is read.

use domain::{AsOf, Invalid, parse_ulid};
use proto::convert::timestamp;
use proto::things::v1::restore_thing_request as wire;
use serve::deadline::{Deadline, UNARY};
use serve::{Caller, Refusal};
use tonic::Request;

use crate::Things;
use crate::restore::Past;

pub(super) fn as_of(as_of: Option<wire::AsOf>) -> Result<AsOf, Invalid> {
    let required = || Invalid::new("time", "is required, or ulid");
    match as_of.ok_or_else(required)? {
        wire::AsOf::Time(time) => timestamp("time", Some(time))?.map(AsOf::Time).ok_or_else(required),
        wire::AsOf::Ulid(ulid) => parse_ulid("ulid", &ulid).map(AsOf::Ulid),
    }
}

impl Things {
    /// Who asks, and events in their name.
    pub(super) fn past_of<T>(&self, request: &Request<T>) -> Result<(Caller, Past), Refusal> {
        let extensions = request.extensions();
        let deadline = Deadline::of(extensions).unwrap_or_else(|| Deadline::after(UNARY));
        let headers = request.metadata().clone().into_headers();
        Ok((Caller::of(extensions)?.clone(), Past::of(self.events.clone(), &headers, deadline)))
    }
}
