//! Which things a command is about.

use domain::{Code, FieldFilter, Timestamp, TypeName, Visibility};
use proto::{
    convert::{field_filter_to_wire, timestamp_to_wire, visibility_to_wire},
    things::v1::ListThingsRequest,
};

/// By type, visibility, code, time and data; each that is given must hold.
#[derive(Clone, PartialEq, Debug, Default, clap::Args)]
pub(crate) struct Conditions {
    /// Only things of this type.
    #[arg(long)]
    pub(crate) r#type: Option<TypeName>,

    /// Only things of this visibility: public, private or unlisted.
    #[arg(long)]
    visibility: Option<Visibility>,

    /// Only things of this code.
    #[arg(long)]
    code: Option<Code>,

    /// Only things that were changed at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    updated_from: Option<Timestamp>,

    /// Only things that were changed before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    updated_until: Option<Timestamp>,

    /// Only things whose data fulfils this: /city=Berlin, '/year>=1900', '/year<2000', /city (there is one), '!/city' (there is
    /// none); may be given more than once. A value is what it is in JSON, else the text itself.
    #[arg(long, value_name = "CONDITION")]
    r#where: Vec<FieldFilter>,
}

impl Conditions {
    /// A list of all namespaces, without page.
    pub(crate) fn request(&self) -> ListThingsRequest {
        let Self { r#type, visibility, code, updated_from, updated_until, r#where } = self;
        ListThingsRequest {
            r#type: r#type.as_ref().map(ToString::to_string).unwrap_or_default(),
            visibility: visibility.map_or(0, |visibility| visibility_to_wire(visibility).into()),
            code: code.as_ref().map(|code| code.as_str().to_owned()).unwrap_or_default(),
            updated_from: updated_from.map(timestamp_to_wire),
            updated_until: updated_until.map(timestamp_to_wire),
            fields: r#where.iter().map(field_filter_to_wire).collect(),
            ..ListThingsRequest::default()
        }
    }

    /// Whether there is one but of the type.
    pub(crate) fn are_of_the_present(&self) -> bool {
        *self != Self { r#type: self.r#type.clone(), ..Self::default() }
    }
}
