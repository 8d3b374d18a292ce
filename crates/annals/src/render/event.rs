//! Events, listed or followed.

use gateway::json as http;
use proto::events::v1::Event;

use super::{count, document, line, plain, table, time};

/// Events of a query.
pub(crate) fn events(events: &[Event], next_page_token: &str, is_json: bool) {
    if is_json {
        let mut writer = http::Writer::object();
        writer.array("items", events, http::event);
        writer.text("next_page_token", next_page_token);
        return document(&writer.finish());
    }
    print!("{}", table(&events.iter().map(|event| cells(event).to_vec()).collect::<Vec<_>>()));
    let more = if next_page_token.is_empty() { "" } else { "; there are more: say --limit all" };
    eprintln!("{}{more}", count(events.len(), "event"));
}

/// How followed events are shown: each on a line of its own, as it comes.
#[derive(Clone, Copy)]
pub(crate) enum Follow {
    /// For a person.
    Text,
    /// A JSON object a line.
    Json,
}

impl Follow {
    /// Shows one event.
    pub(crate) fn show(self, event: &Event) {
        match self {
            Self::Text => {
                let [time, ulid, what, severity, entity, about] = cells(event);
                println!("{time}  {ulid}  {what:<16}  {severity:<5}  {entity:<32}  {about}");
            }
            Self::Json => {
                let mut writer = http::Writer::object();
                http::event(&mut writer, event);
                document(&writer.finish());
            }
        }
    }
}

fn cells(event: &Event) -> [String; 6] {
    let Event { event_type, mutation_type, entity_ns, entity_id, severity, .. } = event;
    let what = if mutation_type.is_empty() { event_type.clone() } else { format!("{event_type} {mutation_type}") };
    let entity = if entity_ns.is_empty() { String::new() } else { format!("{entity_ns}/{entity_id}") };
    [
        time(event.timestamp.as_ref()),
        event.ulid.clone(),
        plain(&what),
        plain(severity),
        plain(&entity),
        line(about(event), 100),
    ]
}

/// The column that says most to a person.
fn about(event: &Event) -> &str {
    let Event { error_message, url, entity_type, data, mutation_type, .. } = event;
    let is_mutation = !mutation_type.is_empty();
    let candidates = [error_message, url, if is_mutation { entity_type } else { data }];
    candidates.into_iter().find(|text| !text.is_empty()).map_or("", |text| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_by_its_most_telling_column() {
        let error = Event { error_message: "lamp out".into(), data: "{}".into(), ..Event::default() };
        assert_eq!(about(&error), "lamp out");
        let log = Event { data: "{\"message\":\"fog\"}".into(), ..Event::default() };
        assert_eq!(about(&log), "{\"message\":\"fog\"}");
    }

    #[test]
    fn a_mutation_is_told_with_its_entity() {
        let mutation = Event {
            event_type: "mutation".into(),
            mutation_type: "created".into(),
            entity_ns: "onet".into(),
            entity_id: "15-1252.00".into(),
            entity_type: "Occupation".into(),
            data: "{\"before\":null}".into(),
            ..Event::default()
        };
        assert_eq!(cells(&mutation)[2..], ["mutation created", "", "onet/15-1252.00", "Occupation"]);
    }
}
