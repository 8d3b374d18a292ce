//! The best texts for the words of a query: ours against tantivy alone.

use std::path::Path;

use crate::{
    measure::{in_turns, recall},
    onet,
    ours::Ours,
    report::{Report, Row},
    tantivy::Tantivy,
};

pub(crate) fn run(onet: &Path) -> anyhow::Result<Report> {
    let (rows, queries) = (onet::rows(onet)?, onet::queries(onet)?);
    eprintln!("{} texts are put into both", rows.len());
    let ours = Ours::of_rows(&rows)?;
    let mut tantivy = Tantivy::of(&rows, ours.text_files()?)?;
    eprintln!("both are asked {} queries in turns", queries.len());
    let [by_ours, by_tantivy] =
        in_turns(&queries, [&mut |query: &String| ours.best(query), &mut |query: &String| tantivy.best(query)])?;
    let same = 100.0 * recall(&by_ours.found, &by_tantivy.found);
    let mut report = Report::default();
    report.push(Row {
        what: format!("{} texts, queries a second against tantivy alone", rows.len()),
        ours: format!("{:.0}/s in {} files; {same:.0} % of the hits are the same", by_ours.rate, ours.text_files()?),
        baseline: format!("{:.0}/s in {} files", by_tantivy.rate, tantivy.files()),
        ratio: by_ours.rate / by_tantivy.rate,
        bounds: Some((0.5, 1.0)),
    });
    Ok(report)
}
