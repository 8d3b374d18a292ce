//! What the wire looks like, told by the wire: gRPC reflection v1 and v1alpha, and the methods that are known.
//!
//! Owns the reading of descriptor sets; the sets are `proto`'s and tonic's.

use axum::Router;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto};
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
}

/// Every method of every service of Annals.
pub fn methods() -> Vec<Method> {
    let mut methods = Vec::new();
    for (package, service) in services() {
        for method in &service.method {
            methods.push(Method {
                path: format!("/{package}.{}/{}", service.name(), method.name()),
                is_streaming: method.client_streaming() || method.server_streaming(),
            });
        }
    }
    methods
}

/// The full name of every service of Annals: `annals.things.v1.ThingsService`.
pub fn service_names() -> Vec<String> {
    services().iter().map(|(package, service)| format!("{package}.{}", service.name())).collect()
}

fn services() -> Vec<(String, ServiceDescriptorProto)> {
    let set =
        FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).expect("the descriptor set is the compiler's own output");
    let of_file = |file: FileDescriptorProto| {
        let package = file.package.unwrap_or_default();
        file.service.into_iter().map(move |service| (package.clone(), service))
    };
    set.file.into_iter().flat_map(of_file).collect()
}

#[cfg(test)]
#[path = "reflection_test.rs"]
mod tests;
