//! Lists: things, relationships, mutations.

use domain::{Json, json};
use gateway::json as http;
use proto::{
    convert,
    events::v1::{Mutation, MutationType, State, state},
    things::v1::{
        Direction, ListNamespacesResponse, ListRelationshipsResponse, ListSchemasResponse, Namespace, ReachedThing,
        Relationship, Schema, Thing, ThingSummary, TraverseResponse,
    },
};

use super::{count, document, line, name, table, time};

/// The things of a namespace.
pub(crate) fn things(things: &[Thing], next_page_token: &str, is_json: bool) {
    if is_json {
        return page(things, next_page_token, |writer, thing| http::thing(writer, thing, &thing.url));
    }
    let row = |thing: &Thing| {
        vec![
            thing.url.clone(),
            line(&thing.r#type, 40),
            time(thing.updated_at.as_ref()),
            title(thing.content.as_deref()),
        ]
    };
    print!("{}", table(&things.iter().map(row).collect::<Vec<_>>()));
    rest(things.len(), "thing", next_page_token);
}

/// The namespaces that one may read.
pub(crate) fn namespaces(namespaces: Vec<Namespace>, next_page_token: String, is_json: bool) {
    if is_json {
        return document(&http::namespaces(&ListNamespacesResponse { namespaces, next_page_token }));
    }
    let row = |namespace: &Namespace| {
        let style = convert::style(namespace.style).unwrap_or_default();
        vec![namespace.url.clone(), style.as_str().into(), time(namespace.created_at.as_ref())]
    };
    print!("{}", table(&namespaces.iter().map(row).collect::<Vec<_>>()));
    rest(namespaces.len(), "namespace", &next_page_token);
}

/// The schemas of a namespace.
pub(crate) fn schemas(found: &ListSchemasResponse, is_json: bool) {
    if is_json {
        return document(&http::schemas(found));
    }
    let row = |schema: &Schema| {
        let bytes = count(schema.schema.len(), "byte");
        vec![line(&schema.r#type, 40), bytes, time(schema.updated_at.as_ref())]
    };
    print!("{}", table(&found.schemas.iter().map(row).collect::<Vec<_>>()));
    rest(found.schemas.len(), "schema", "");
}

/// The relationships at a thing.
pub(crate) fn relationships(found: &ListRelationshipsResponse, is_json: bool) {
    if is_json {
        let mut writer = http::Writer::object();
        http::relationships(&mut writer, found);
        return document(&writer.finish());
    }
    let row = |(relationship, other): (&Relationship, &ThingSummary)| {
        let [from, to] = [relationship.from.as_ref(), relationship.to.as_ref()].map(name);
        vec![from, line(&relationship.r#type, 40), to, line(&other.title, 60), relationship.url.clone()]
    };
    let rows = found.relationships.iter().zip(&found.others).map(row);
    print!("{}", table(&rows.collect::<Vec<_>>()));
    rest(found.relationships.len(), "relationship", &found.next_page_token);
}

/// What a walk reaches.
pub(crate) fn reached(parts: &[TraverseResponse], is_json: bool) {
    if is_json {
        let mut writer = http::Writer::object();
        http::reached(&mut writer, parts);
        return document(&writer.finish());
    }
    let row = |reached: &ReachedThing| {
        let ReachedThing { thing, depth, via, relationship: _, r#type, direction } = reached;
        let thing = thing.clone().unwrap_or_default();
        let arrow = if *direction == i32::from(Direction::Incoming) { "<-" } else { "->" };
        let step = format!("{} {arrow} {}", name(via.as_ref()), line(r#type, 40));
        vec![depth.to_string(), thing.url, line(&thing.r#type, 40), line(&thing.title, 60), step]
    };
    let rows: Vec<_> = parts.iter().flat_map(|part| &part.things).map(row).collect();
    print!("{}", table(&rows));
    let more = if parts.last().is_some_and(|part| part.is_truncated) { "; there are more: say --limit" } else { "" };
    eprintln!("{}{more}", count(rows.len(), "thing"));
}

/// The mutations of one name, whose URL path is `url`.
pub(crate) fn history(mutations: &[Mutation], url: &str, next_page_token: &str, is_json: bool) {
    if is_json {
        return page(mutations, next_page_token, |writer, mutation| http::mutation(writer, mutation, url));
    }
    println!("{url}");
    let row = |mutation: &Mutation| {
        vec![
            format!("  {}", mutation.ulid),
            time(mutation.timestamp.as_ref()),
            word(mutation.mutation_type()).into(),
            changed(mutation),
            line(&mutation.actor, 40),
            line(&mutation.cause, 60),
        ]
    };
    print!("{}", table(&mutations.iter().map(row).collect::<Vec<_>>()));
    rest(mutations.len(), "mutation", next_page_token);
}

fn page<T>(items: &[T], next_page_token: &str, write: impl FnMut(&mut http::Writer, &T)) {
    let mut writer = http::Writer::object();
    writer.array("items", items, write);
    writer.text("next_page_token", next_page_token);
    document(&writer.finish());
}

fn rest(shown: usize, noun: &str, next_page_token: &str) {
    let more = if next_page_token.is_empty() { "" } else { "; there are more: say --limit all" };
    eprintln!("{}{more}", count(shown, noun));
}

/// The first heading or line of a content.
fn title(content: Option<&str>) -> String {
    let first = content.and_then(|content| content.lines().find(|line| !line.trim().is_empty()));
    line(first.unwrap_or_default().trim_start_matches('#'), 60)
}

fn word(mutation_type: MutationType) -> &'static str {
    match mutation_type {
        MutationType::Created => "created",
        MutationType::Updated => "updated",
        MutationType::Deleted => "deleted",
        MutationType::Unspecified => "unknown",
    }
}

/// The fields that an update changed.
fn changed(mutation: &Mutation) -> String {
    let (Some(before), Some(after)) = (fields(mutation.before.as_ref()), fields(mutation.after.as_ref())) else {
        return String::new();
    };
    let names = ["type", "visibility", "content", "code", "data", "from", "to"];
    let changed = names.into_iter().filter(|name| before.get(name) != after.get(name));
    changed.collect::<Vec<_>>().join(", ")
}

fn fields(state: Option<&State>) -> Option<Json> {
    let mut writer = http::Writer::object();
    match state?.state.as_ref()? {
        state::State::Thing(thing) => http::thing(&mut writer, thing, ""),
        state::State::Relationship(relationship) => http::relationship(&mut writer, relationship, ""),
    }
    json::parse_to_depth(&writer.finish(), json::MAX_DEPTH + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(content: &str) -> State {
        let thing = Thing { content: Some(content.into()), data: Some("{\"a\":1}".into()), ..Thing::default() };
        State { state: Some(state::State::Thing(thing)) }
    }

    #[test]
    fn an_update_names_the_fields_that_it_changed() {
        let mutation = Mutation { before: Some(state("a")), after: Some(state("b")), ..Mutation::default() };
        assert_eq!(changed(&mutation), "content");
        assert_eq!(changed(&Mutation { after: Some(state("b")), ..Mutation::default() }), "");
    }

    #[test]
    fn a_title_is_the_first_heading_or_line() {
        assert_eq!(title(Some("\n# Grey Skerry\n\nA light.")), "Grey Skerry");
        assert_eq!(title(None), "");
    }
}
