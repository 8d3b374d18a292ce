//! Every method of the services, and every string that a request can carry, as the descriptors have them. Owns setting
//! such a string; knows no method by name.

use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};
use prost_types::{DescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};

/// The way from a request to one of its strings; through lists by their first element.
pub(crate) type Path = Vec<FieldDescriptor>;

/// Every method of every service of Annals.
pub(crate) fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("descriptors of ours");
    pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

/// Every string of a message, at any depth.
pub(crate) fn strings(message: &MessageDescriptor) -> Vec<Path> {
    let mut paths = Vec::new();
    collect(message, &mut Vec::new(), &mut paths);
    paths
}

fn collect(message: &MessageDescriptor, way: &mut Path, paths: &mut Vec<Path>) {
    for field in message.fields() {
        way.push(field.clone());
        match field.kind() {
            Kind::String | Kind::Bytes => paths.push(way.clone()),
            Kind::Message(inner) => collect(&inner, way, paths),
            _ => {}
        }
        way.pop();
    }
}

/// `thing.key.ns`.
pub(crate) fn spell(path: &[FieldDescriptor]) -> String {
    path.iter().map(FieldDescriptor::name).collect::<Vec<_>>().join(".")
}

/// `request` with the string at `path` set, and each message on the way there, which is put where it is absent.
pub(crate) fn set(request: &mut DynamicMessage, path: &[FieldDescriptor], text: String) {
    let [field, rest @ ..] = path else { return };
    let value = if rest.is_empty() {
        let text = Value::String(text);
        if field.is_list() { Value::List(vec![text]) } else { text }
    } else {
        let present = request.has_field(field).then(|| request.get_field(field).into_owned());
        let present = match present {
            Some(Value::List(mut list)) => list.drain(..).next(),
            other => other,
        };
        let Kind::Message(descriptor) = field.kind() else { panic!("a string is inside a message") };
        let mut inner = match present {
            Some(Value::Message(inner)) => inner,
            _ => DynamicMessage::new(descriptor),
        };
        set(&mut inner, rest, text);
        if field.is_list() { Value::List(vec![Value::Message(inner)]) } else { Value::Message(inner) }
    };
    request.set_field(field, value);
}

/// How many strings the requests of all methods have, counted on the bare descriptors by other code than [`strings`].
pub(crate) fn count_strings() -> usize {
    let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).expect("descriptors of ours");
    let methods = set.file.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
    methods.map(|method| count(&set, method.input_type())).sum()
}

fn count(set: &FileDescriptorSet, name: &str) -> usize {
    let named = |file: &&prost_types::FileDescriptorProto| name.starts_with(&format!(".{}.", file.package()));
    let messages = set.file.iter().filter(named).flat_map(|file| &file.message_type);
    let message: &DescriptorProto =
        messages.into_iter().find(|message| name.ends_with(&format!(".{}", message.name()))).expect("a message");
    let strings = message.field.iter().map(|field| match field.r#type() {
        Type::String | Type::Bytes => 1,
        Type::Message => count(set, field.type_name()),
        _ => 0,
    });
    strings.sum()
}
