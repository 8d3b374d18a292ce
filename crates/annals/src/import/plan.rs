//! Owns what a row becomes: a thing or a relationship, by the templates of the command, or what it says itself. Never reads or
//! sends one.

use anyhow::{Context as _, anyhow, bail};
use domain::{Namespace, Path, Visibility};
use gateway::json as http;
use proto::{
    common::v1 as common,
    convert,
    things::v1::{ImportRow, Relationship, Thing, import_row::Row as Put},
};

use super::{Args, data::DataTemplate, row::Row, template::Template};

/// What the rows of one import become.
pub(super) enum Plan {
    /// What their columns are put into.
    Templates(Box<Templates>),
    /// What they say: they were exported.
    Exported,
}

/// The templates of one import.
pub(super) struct Templates {
    ns: Template,
    id: Template,
    word: Template,
    visibility: Option<Template>,
    data: DataTemplate,
    shape: Shape,
}

enum Shape {
    Thing { variant: Option<Template>, content: Option<Template>, code: Option<Template> },
    Relationship { from: Template, to: Template },
}

/// A row as it is sent.
pub(super) struct Planned {
    /// Its namespace, which must be registered, unless rows say so.
    pub(super) ns: Option<Namespace>,
    /// The row.
    pub(super) put: ImportRow,
}

impl Plan {
    /// The plan that the arguments make.
    pub(super) fn new(args: &Args) -> anyhow::Result<Self> {
        let Args { ns, id, r#type, content, code, variant, visibility, data, from, to, .. } = args.clone();
        let (Some(ns), Some(word)) = (ns, r#type) else { return Ok(Self::Exported) };
        let is_edge = from.is_some();
        let shape = match (from, to) {
            (Some(from), Some(to)) => Shape::Relationship { from, to },
            _ => Shape::Thing { variant, content, code },
        };
        let id = match id {
            Some(id) => id,
            None if is_edge => "{row}".parse()?,
            None => {
                bail!("--id is required for things: a template such as '{{Code}}', or '{{row}}' for a hash of the row")
            }
        };
        // What is wrong in every row is told once.
        if let Some(ns) = ns.constant() {
            ns.parse::<Namespace>().context("--ns")?;
        }
        if let Some(word) = visibility.as_ref().and_then(Template::constant) {
            word.parse::<Visibility>().context("--visibility")?;
        }
        // The ends of a relationship say what its row is for; of a thing all columns are worth keeping.
        let data = data.unwrap_or(DataTemplate::All);
        Ok(Self::Templates(Box::new(Templates { ns, id, word, visibility, data, shape })))
    }

    /// Every column that a template names.
    pub(super) fn columns(&self) -> Vec<&str> {
        let Self::Templates(templates) = self else { return Vec::new() };
        let Templates { ns, id, word, visibility, data, shape } = &**templates;
        let shape = match shape {
            Shape::Thing { variant, content, code } => [variant.as_ref(), content.as_ref(), code.as_ref()],
            Shape::Relationship { from, to } => [Some(from), Some(to), None],
        };
        let templates = [Some(ns), Some(id), Some(word), visibility.as_ref()].into_iter().chain(shape).flatten();
        templates.flat_map(Template::columns).chain(data.columns()).collect()
    }

    /// What a row becomes, if anything, or why it cannot become that.
    pub(super) fn apply(&self, row: &Row) -> anyhow::Result<Option<Planned>> {
        match self {
            Self::Templates(templates) => templates.apply(row).map(Some),
            Self::Exported => {
                let put = http::read_row(row.as_json().clone()).map_err(|refusal| anyhow!("{refusal}"))?;
                Ok(put.map(|put| Planned { ns: None, put }))
            }
        }
    }
}

impl Templates {
    fn apply(&self, row: &Row) -> anyhow::Result<Planned> {
        let ns: Namespace = self.ns.expand(row)?.parse()?;
        let id = self.id.expand(row)?;
        if id.is_empty() {
            bail!("id: is empty in this row");
        }
        let key = common::Key { ns: ns.as_str().into(), id, ..common::Key::default() };
        let word = self.word.expand(row)?;
        let visibility = match some(self.visibility.as_ref(), row)? {
            Some(word) => word.parse()?,
            None => Visibility::Public,
        };
        let visibility = convert::visibility_to_wire(visibility).into();
        let data = self.data.expand(row)?.map(|data| data.to_string());
        let put = match &self.shape {
            Shape::Thing { variant, content, code } => {
                let variant = some(variant.as_ref(), row)?.unwrap_or_default();
                let (content, code) = (some(content.as_ref(), row)?, some(code.as_ref(), row)?);
                let key = Some(common::Key { variant, ..key });
                Put::Thing(Thing { key, r#type: word, visibility, content, code, data, ..Thing::default() })
            }
            Shape::Relationship { from, to } => Put::Relationship(Relationship {
                key: Some(key),
                r#type: word,
                from: Some(end("from", from, row)?),
                to: Some(end("to", to, row)?),
                visibility,
                data,
                ..Relationship::default()
            }),
        };
        Ok(Planned { ns: Some(ns), put: ImportRow { row: Some(put) } })
    }
}

/// The expanded text, unless it is empty.
fn some(template: Option<&Template>, row: &Row) -> anyhow::Result<Option<String>> {
    let text = template.map(|template| template.expand(row)).transpose()?;
    Ok(text.filter(|text| !text.is_empty()))
}

fn end(field: &str, template: &Template, row: &Row) -> anyhow::Result<common::Key> {
    let path: Path = template.expand(row)?.parse().map_err(|error: domain::Invalid| error.within(field))?;
    Ok(common::Key { path: path.to_string(), ..common::Key::default() })
}

#[cfg(test)]
#[path = "plan_test.rs"]
mod tests;
