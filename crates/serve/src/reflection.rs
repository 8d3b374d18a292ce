//! What the wire looks like, told by the wire: gRPC reflection v1 and v1alpha, and the methods that are known.
//!
//! Owns the reading of descriptor sets; the sets are `proto`'s and tonic's.

use axum::Router;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet, ServiceDescriptorProto};
use tonic_reflection::server::Builder;

/// `router` with gRPC reflection, v1 and v1alpha, of every service of Annals, health and reflection itself.
pub fn register(router: Router) -> Router {
    let v1 = builder().build_v1().expect("the descriptor sets are the compiler's own output");
    let v1alpha = builder().build_v1alpha().expect("the descriptor sets are the compiler's own output");
    router.merge(crate::layers::open_router(v1)).merge(crate::layers::open_router(v1alpha))
}

fn builder() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
}

/// A method of a service of Annals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its path on the wire: `/annals.things.v1.ThingsService/GetThing`.
    pub path: String,
    /// Whether either side sends more than one message.
    pub is_streaming: bool,
    /// The fields of its request that hold any number of messages or texts.
    pub lists: Vec<List>,
}

/// A field that holds any number of messages or texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Its number on the wire.
    pub number: u32,
    /// Its name.
    pub name: String,
}

/// Every method of every service of Annals.
pub fn methods() -> Vec<Method> {
    let set = descriptors();
    let mut methods = Vec::new();
    for (package, service) in services(&set) {
        for method in &service.method {
            methods.push(Method {
                path: format!("/{package}.{}/{}", service.name(), method.name()),
                is_streaming: method.client_streaming() || method.server_streaming(),
                lists: lists(&set, method.input_type()),
            });
        }
    }
    methods
}

/// The full name of every service of Annals: `annals.things.v1.ThingsService`.
pub fn service_names() -> Vec<String> {
    services(&descriptors()).iter().map(|(package, service)| format!("{package}.{}", service.name())).collect()
}

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).expect("the descriptor set is the compiler's own output")
}

fn services(set: &FileDescriptorSet) -> Vec<(&str, &ServiceDescriptorProto)> {
    set.file.iter().flat_map(|file| file.service.iter().map(|service| (file.package(), service))).collect()
}

/// The lists of the message of that full name, with a dot in front.
fn lists(set: &FileDescriptorSet, message: &str) -> Vec<List> {
    let is_meant = |package: &str, found: &DescriptorProto| {
        message.strip_prefix('.').and_then(|name| name.strip_prefix(package)?.strip_prefix('.')) == Some(found.name())
    };
    let messages = set.file.iter().flat_map(|file| file.message_type.iter().map(|found| (file.package(), found)));
    let found = messages.into_iter().find(|(package, found)| is_meant(package, found));
    let (_, message) = found.unwrap_or_else(|| panic!("{message} is a message of its descriptor set"));
    let is_list = |r#type| matches!(r#type, Type::Message | Type::String | Type::Bytes);
    let lists = message.field.iter().filter(|field| field.label() == Label::Repeated && is_list(field.r#type()));
    lists.map(|field| List { number: field.number() as u32, name: field.name().to_owned() }).collect()
}

#[cfg(test)]
#[path = "reflection_test.rs"]
mod tests;
