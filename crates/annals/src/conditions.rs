//! Which things a command is about.

use domain::{Code, FieldFilter, Timestamp, TypeName, Visibility};
use proto::{
    convert::{field_filter_to_wire, timestamp_to_wire, visibility_to_wire},
    things::v1::ListThingsRequest,
};

use crate::name::NamespaceName;

/// By namespace, type, visibility, code, time and data; each that is given must hold.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Conditions {
    /// The namespace: onet/, /github.com/repos/. Without it all that there are.
    #[arg(value_name = "NS/")]
    ns: Option<NamespaceName>,

    /// Of this namespace and of those under it.
    #[arg(long, value_name = "NS/", conflicts_with = "ns")]
    under: Option<NamespaceName>,

    /// Only things of this type.
    #[arg(long)]
    r#type: Option<TypeName>,

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
    /// A list, without page.
    pub(crate) fn request(self) -> ListThingsRequest {
        let Self { ns, under, r#type, visibility, code, updated_from, updated_until, r#where } = self;
        ListThingsRequest {
            ns: NamespaceName::or_empty(ns),
            ns_prefix: NamespaceName::or_empty(under),
            r#type: r#type.as_ref().map(ToString::to_string).unwrap_or_default(),
            visibility: visibility.map_or(0, |visibility| visibility_to_wire(visibility).into()),
            code: code.as_ref().map(|code| code.as_str().to_owned()).unwrap_or_default(),
            updated_from: updated_from.map(timestamp_to_wire),
            updated_until: updated_until.map(timestamp_to_wire),
            fields: r#where.iter().map(field_filter_to_wire).collect(),
            ..ListThingsRequest::default()
        }
    }
}
