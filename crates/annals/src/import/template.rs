//! Owns templates over the columns of a row: `# {Title}\n\n{Description}`. Never reads the file that a row is from.

use std::str::FromStr;

use domain::Json;

use super::row::Row;

/// The column that every row has: a hash of all that is in it.
const ROW_HASH: &str = "row";

/// Text with the values of columns in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(Box<str>),
    Column(Box<str>),
    RowHash,
}

/// Why text is no template.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("`{{{0}` has no closing brace; a brace that is meant as one is written {{{{")]
    Unclosed(String),
    #[error("a closing brace without an opening one; a brace that is meant as one is written }}}}")]
    Unopened,
    #[error("{{}} names no column")]
    Unnamed,
    #[error("`\\{0}` is no escape; there are \\n, \\t and \\\\")]
    Escape(String),
}

/// A row has no column of the name that a template uses.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum MissingColumn {
    #[error("there is no column `{name}`; did you mean `{near}`?")]
    Near { name: Box<str>, near: Box<str> },
    #[error("there is no column `{name}`; there are {}", .known.join(", "))]
    Unknown { name: Box<str>, known: Vec<String> },
}

impl Template {
    /// The text for one row. An absent or null value of NDJSON is a missing column or empty text.
    pub(crate) fn expand(&self, row: &Row) -> Result<String, MissingColumn> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::RowHash => text.push_str(&row.hash()),
                Part::Column(name) => push_value(&mut text, row.get(name)?),
            }
        }
        Ok(text)
    }

    /// The value of the column that this template is and nothing else, or the expanded text.
    pub(crate) fn value(&self, row: &Row) -> Result<Json, MissingColumn> {
        match self.0.as_slice() {
            [Part::Column(name)] => row.get(name).cloned(),
            _ => Ok(Json::String(self.expand(row)?.into())),
        }
    }

    /// The text of every row, if no column is in it.
    pub(crate) fn constant(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(literal)] => Some(literal),
            _ => None,
        }
    }

    /// The columns that it uses.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| if let Part::Column(name) = part { Some(&**name) } else { None })
    }
}

fn push_value(text: &mut String, value: &Json) {
    match value {
        Json::Null => {}
        Json::String(string) => text.push_str(string),
        other => text.push_str(&other.to_string()),
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    /// `{Column}`, `{row}`, `{{`, `}}`, `\n`, `\t`, `\\`; everything else is itself.
    fn from_str(mut rest: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        while let Some(at) = rest.find(['{', '}', '\\']) {
            literal.push_str(&rest[..at]);
            let special = &rest[at..];
            if let Some(after) = special.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = special.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else if special.starts_with('}') {
                return Err(TemplateError::Unopened);
            } else if let Some(after) = special.strip_prefix('\\') {
                let escape = after.chars().next();
                literal.push(match escape {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('\\') => '\\',
                    other => return Err(TemplateError::Escape(other.map(String::from).unwrap_or_default())),
                });
                rest = &after[1..];
            } else {
                let (name, after) = special[1..]
                    .split_once('}')
                    .ok_or_else(|| TemplateError::Unclosed(special[1..].chars().take(32).collect()))?;
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal).into()));
                }
                parts.push(match name {
                    "" => return Err(TemplateError::Unnamed),
                    ROW_HASH => Part::RowHash,
                    name => Part::Column(name.into()),
                });
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        Ok(Self(parts))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row() -> Row {
        Row::of_text(2, &["O*NET-SOC Code".into(), "Title".into()], &["15-1252.00", "Software Developers"])
    }

    fn expand(template: &str) -> String {
        template.parse::<Template>().unwrap().expand(&row()).unwrap()
    }

    #[test]
    fn columns_escapes_and_text_are_put_together() {
        assert_eq!(expand("# {Title}\\n\\n{O*NET-SOC Code}"), "# Software Developers\n\n15-1252.00");
        assert_eq!(expand("{{Title}} is {Title}\\t\\\\"), "{Title} is Software Developers\t\\");
        assert_eq!(expand(""), "");
    }

    #[test]
    fn the_hash_of_a_row_is_sixteen_hexadecimal_digits() {
        let hash = expand("{row}");
        assert_eq!(hash.len(), 16);
        assert!(hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
    }

    #[test]
    fn a_missing_column_is_named_with_the_nearest() {
        let missing = "{Titel}".parse::<Template>().unwrap().expand(&row()).unwrap_err();
        assert_eq!(missing.to_string(), "there is no column `Titel`; did you mean `Title`?");
        let missing = "{Wage}".parse::<Template>().unwrap().expand(&row()).unwrap_err();
        assert_eq!(missing.to_string(), "there is no column `Wage`; there are O*NET-SOC Code, Title");
    }

    #[test]
    fn what_is_no_template_is_refused_with_the_way_out() {
        let refusal = |text: &str| text.parse::<Template>().unwrap_err().to_string();
        assert_eq!(refusal("{Title"), "`{Title` has no closing brace; a brace that is meant as one is written {{");
        assert_eq!(
            refusal("Title}"),
            "a closing brace without an opening one; a brace that is meant as one is written }}"
        );
        assert_eq!(refusal("{}"), "{} names no column");
        assert_eq!(refusal("C:\\x"), "`\\x` is no escape; there are \\n, \\t and \\\\");
        assert_eq!(refusal("\\"), "`\\` is no escape; there are \\n, \\t and \\\\");
    }

    proptest! {
        #[test]
        fn text_with_its_special_characters_doubled_expands_to_itself(text in "\\PC*") {
            let template = text.replace('{', "{{").replace('}', "}}").replace('\\', "\\\\");
            prop_assert_eq!(expand(&template), text);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[{}\\\\nrow a\u{e9}]*") {
            let _ = text.parse::<Template>();
        }
    }
}
