//! Owns what of a thing is searched: which texts, and how much each counts. Never looks for anything.

use domain::{Data, Json, Key, Thing, Timestamp, TypeName, Visibility, json};

use crate::facts::Facts;

/// The texts of a thing, in the order of [`Document::texts`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Field {
    /// `title` and `name` in data, in any letter case.
    Title,
    /// The id without its variant.
    Id,
    /// The content.
    Content,
    /// Every other string in data.
    Data,
}

impl Field {
    pub(crate) const ALL: [Self; 4] = [Self::Title, Self::Id, Self::Content, Self::Data];

    /// How much a word in it counts.
    pub(crate) fn weight(self) -> f32 {
        match self {
            Self::Title => 3.0,
            Self::Id | Self::Content | Self::Data => 1.0,
        }
    }

    /// Its name in the index.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Id => "id",
            Self::Content => "content",
            Self::Data => "data",
        }
    }
}

/// A thing as it is searched.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Document {
    pub(crate) key: Key,
    pub(crate) thing_type: TypeName,
    pub(crate) visibility: Visibility,
    pub(crate) updated_at: Timestamp,
    pub(crate) texts: Texts,
    /// What is known of the fields of its data.
    pub(crate) facts: Facts,
    /// The vector that a client gave, where those count.
    pub(crate) embedding: Option<Vec<f32>>,
}

/// One for each field.
pub(crate) type Texts = [String; Field::ALL.len()];

impl Document {
    /// Of a thing.
    pub(crate) fn of(thing: &Thing) -> Self {
        let content = thing.body.content.as_ref().map(|content| content.as_str().to_owned()).unwrap_or_default();
        Self {
            key: thing.key.clone(),
            thing_type: thing.body.thing_type.clone(),
            visibility: thing.body.visibility,
            updated_at: thing.updated_at(),
            texts: texts(&thing.key, content, thing.body.data.as_ref().map(Data::as_str)),
            facts: thing.body.data.as_ref().map(|data| Facts::of(data.as_str())).unwrap_or_default(),
            embedding: None,
        }
    }

    /// Whether everybody may come upon it in a list. A variant is seen where its canonical thing is, which this does not
    /// know: by itself it is for readers of the namespace.
    pub(crate) fn is_listed(&self) -> bool {
        self.visibility == Visibility::Public && self.key.variant.is_canonical()
    }
}

/// The texts of a thing, one for each field.
pub(crate) fn texts(key: &Key, content: String, data: Option<&str>) -> Texts {
    let (title, rest) = data.map(texts_of).unwrap_or_default();
    [title, key.id.as_str().to_owned(), content, rest]
}

/// The title and the other strings of `data`, each string on a line of its own.
pub(crate) fn texts_of(data: &str) -> (String, String) {
    let (mut title, mut rest) = (String::new(), String::new());
    if let Ok(Json::Object(members)) = json::parse(data) {
        for (name, value) in &members {
            match value {
                Json::String(text) if Data::is_title(name) => add_line(&mut title, text),
                value => add_strings(&mut rest, value),
            }
        }
    }
    (title, rest)
}

fn add_strings(lines: &mut String, value: &Json) {
    match value {
        Json::String(text) => add_line(lines, text),
        Json::Array(items) => items.iter().for_each(|item| add_strings(lines, item)),
        Json::Object(members) => members.iter().for_each(|(_, value)| add_strings(lines, value)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

fn add_line(lines: &mut String, text: &str) {
    if !lines.is_empty() {
        lines.push('\n');
    }
    lines.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_found_in_any_letter_case_and_strings_at_any_depth() {
        let data = r#"{"Title":"Engineer","NAME":"Ada","n":1,"a":[{"b":"deep"},"flat",true],"title_of":"x"}"#;
        assert_eq!(texts_of(data), ("Engineer\nAda".into(), "deep\nflat\nx".into()));
        assert_eq!(texts_of("{}"), <_>::default());
    }
}
