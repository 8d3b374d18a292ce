//! Owns what `--data` says: which columns of a row become a thing's data, and in what shape.

use std::str::FromStr;

use domain::{Json, json};

use super::{
    row::Row,
    template::{MissingColumn, Template, TemplateError},
};

/// What of a row becomes data.
#[derive(Clone, Debug)]
pub(crate) enum DataTemplate {
    /// All columns, in their order.
    All,
    /// No data.
    None,
    /// These columns, in this order.
    Columns(Vec<Box<str>>),
    /// A JSON object whose strings are templates.
    Shape(Shape),
}

/// A JSON value whose strings are templates.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Plain(Json),
    Template(Template),
    Array(Vec<Shape>),
    Object(Vec<(Box<str>, Shape)>),
}

/// Why text says nothing about data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataTemplateError {
    #[error("{0}")]
    Json(String),
    #[error("in its string {text:?}: {source}")]
    Template { text: String, source: TemplateError },
    #[error("must be all, none, names of columns with commas between, or a JSON object whose strings are templates")]
    Empty,
}

impl FromStr for DataTemplate {
    type Err = DataTemplateError;

    fn from_str(text: &str) -> Result<Self, DataTemplateError> {
        match text.trim() {
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            object if object.starts_with('{') => {
                let value = json::parse(object).map_err(|error| DataTemplateError::Json(error.to_string()))?;
                Ok(Self::Shape(Shape::of(value)?))
            }
            columns => {
                let columns: Vec<Box<str>> = columns.split(',').map(|column| column.trim().into()).collect();
                if columns.iter().any(|column| column.is_empty()) {
                    return Err(DataTemplateError::Empty);
                }
                Ok(Self::Columns(columns))
            }
        }
    }
}

impl DataTemplate {
    /// The data of a row.
    pub(crate) fn expand(&self, row: &Row) -> Result<Option<Json>, MissingColumn> {
        Ok(match self {
            Self::None => None,
            Self::All => Some(row.as_json().clone()),
            Self::Columns(columns) => {
                let mut members = Vec::with_capacity(columns.len());
                for column in columns {
                    members.push((column.clone(), row.get(column)?.clone()));
                }
                Some(Json::Object(members))
            }
            Self::Shape(shape) => Some(shape.expand(row)?),
        })
    }

    /// The columns that it uses by name.
    pub(crate) fn columns(&self) -> Vec<&str> {
        match self {
            Self::All | Self::None => Vec::new(),
            Self::Columns(columns) => columns.iter().map(|column| &**column).collect(),
            Self::Shape(shape) => shape.columns(),
        }
    }
}

impl Shape {
    fn of(value: Json) -> Result<Self, DataTemplateError> {
        Ok(match value {
            Json::String(text) => {
                let template = text.parse();
                Self::Template(template.map_err(|source| DataTemplateError::Template { text: text.into(), source })?)
            }
            Json::Array(items) => Self::Array(items.into_iter().map(Self::of).collect::<Result<_, _>>()?),
            Json::Object(members) => {
                let member = |(key, value)| Ok((key, Self::of(value)?));
                Self::Object(members.into_iter().map(member).collect::<Result<_, _>>()?)
            }
            plain => Self::Plain(plain),
        })
    }

    fn expand(&self, row: &Row) -> Result<Json, MissingColumn> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Template(template) => template.value(row)?,
            Self::Array(items) => Json::Array(items.iter().map(|item| item.expand(row)).collect::<Result<_, _>>()?),
            Self::Object(members) => {
                let member = |(key, shape): &(Box<str>, Self)| Ok((key.clone(), shape.expand(row)?));
                Json::Object(members.iter().map(member).collect::<Result<_, _>>()?)
            }
        })
    }

    fn columns(&self) -> Vec<&str> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Template(template) => template.columns().collect(),
            Self::Array(items) => items.iter().flat_map(Self::columns).collect(),
            Self::Object(members) => members.iter().flat_map(|(_, shape)| shape.columns()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(data: &str, row: &str) -> String {
        let row = Row::of_json(1, json::parse(row).unwrap()).unwrap();
        data.parse::<DataTemplate>().unwrap().expand(&row).unwrap().unwrap().to_string()
    }

    #[test]
    fn all_columns_stay_in_their_order_with_their_lexemes() {
        assert_eq!(expand("all", r#"{"b":1.50,"a":"x"}"#), r#"{"b":1.50,"a":"x"}"#);
    }

    #[test]
    fn named_columns_come_in_the_order_of_their_names() {
        assert_eq!(expand("b, a", r#"{"a":1,"x":2,"b":3}"#), r#"{"b":3,"a":1}"#);
    }

    #[test]
    fn a_string_that_is_one_column_takes_its_value_and_others_its_text() {
        let data = r#"{"height":"{h}","at":["{lat}","{lon}"],"note":"{h} m","fixed":7}"#;
        let expanded = expand(data, r#"{"h":41.0,"lat":"54.1","lon":-3}"#);
        assert_eq!(expanded, r#"{"height":41.0,"at":["54.1",-3],"note":"41.0 m","fixed":7}"#);
    }

    #[test]
    fn a_template_knows_the_columns_that_it_needs() {
        let data: DataTemplate = r#"{"a":"{x} {y}","b":["{z}"]}"#.parse().unwrap();
        assert_eq!(data.columns(), ["x", "y", "z"]);
    }

    #[test]
    fn what_is_neither_words_nor_json_is_refused() {
        let refusal = |text: &str| text.parse::<DataTemplate>().unwrap_err().to_string();
        assert!(refusal("a,,b").starts_with("must be all, none"), "{}", refusal("a,,b"));
        assert!(refusal("{\"a\":").contains("must be JSON"));
        assert!(refusal("{\"a\":\"{b\"}").contains("no closing brace"));
    }
}
