//! Owns what a thing is in short. Never reads one.

use domain::{Data, Json, Name, Style, TypeName, Visibility};

/// The longest data whose title is read, in bytes: what many things are in short must not take long.
pub(crate) const MAX_DATA: usize = 64 << 10;
/// The longest title, in bytes.
const MAX_TITLE: usize = 255;

/// A canonical thing in short.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Summary {
    pub(crate) name: Name,
    /// Of its namespace.
    pub(crate) style: Style,
    pub(crate) thing_type: TypeName,
    pub(crate) visibility: Visibility,
    /// Empty where there is none.
    pub(crate) title: String,
}

/// The first line of the title of a thing that has this data, at most [`MAX_DATA`] of it.
pub(crate) fn title(data: Option<&Data>) -> String {
    let Some(Json::Object(members)) = data.map(Data::to_json) else { return String::new() };
    let titles = members.iter().filter(|(name, _)| Data::is_title(name)).filter_map(|(_, value)| value.as_str());
    let mut lines = titles.filter_map(|text| text.lines().map(str::trim).find(|line| !line.is_empty()));
    let title = lines.next().unwrap_or_default();
    title[..title.floor_char_boundary(MAX_TITLE)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_of_the_first_text() {
        for (data, expected) in [
            (r#"{"title":7,"Name":"\n Ada \nLovelace"}"#, "Ada"),
            (r#"{"a":{"title":"deep"}}"#, ""),
            (r#"{"NAME":"x","title":"y"}"#, "x"),
        ] {
            assert_eq!(title(Some(&Data::parse(data).unwrap())), expected, "{data}");
        }
        assert_eq!(title(None), "");
    }

    #[test]
    fn a_long_title_is_cut_between_characters() {
        let data = Data::parse(&format!(r#"{{"title":"{}"}}"#, "é".repeat(200))).unwrap();
        assert_eq!(title(Some(&data)), "é".repeat(127));
    }
}
