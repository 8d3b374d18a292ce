//! The occupations and tasks of O*NET, and the titles that they are searched by.

use std::path::Path;

use anyhow::Context as _;

/// An occupation or a task.
pub(crate) struct Row {
    pub(crate) id: String,
    /// Of an occupation.
    pub(crate) title: Option<String>,
    pub(crate) content: String,
}

/// What is searched.
pub(crate) fn rows(onet: &Path) -> anyhow::Result<Vec<Row>> {
    let occupations = lines(&onet.join("occupations.tsv"), |columns| {
        let [id, title, content] = columns[..] else { return None };
        Some(Row { id: id.into(), title: Some(title.into()), content: content.into() })
    })?;
    let tasks = lines(&onet.join("tasks.tsv"), |columns| {
        let [_, id, content, ..] = columns[..] else { return None };
        Some(Row { id: format!("tasks/{id}"), title: None, content: content.into() })
    })?;
    Ok(occupations.into_iter().chain(tasks).collect())
}

/// What is searched for.
pub(crate) fn queries(onet: &Path) -> anyhow::Result<Vec<String>> {
    lines(&onet.join("reported_titles.tsv"), |columns| columns.get(1).map(|&title| title.into()))
}

fn lines<T>(file: &Path, of: impl Fn(Vec<&str>) -> Option<T>) -> anyhow::Result<Vec<T>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let rows = text.lines().skip(1).map(|line| of(line.split('\t').collect()));
    rows.collect::<Option<_>>().with_context(|| format!("{} lacks a column", file.display()))
}
