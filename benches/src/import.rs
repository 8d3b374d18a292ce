//! Import of tasks.tsv until History serves its last row, against the same rows in one SQLite table: one prepared
//! statement, batches of 500, `synchronous=FULL`.

use std::{path::Path, time::Instant};

use anyhow::Context as _;

use crate::{
    report::{Report, Row, median},
    server::{Server, body, directory, http_client},
};

const ROUNDS: usize = 5;
const BATCH: usize = 500;

pub(crate) async fn run(onet: &Path) -> anyhow::Result<Report> {
    let file = std::path::absolute(onet.join("tasks.tsv"))?;
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        baseline.push(sqlite(&rows)?);
        ours.push(annals(&file, &rows).await?);
    }
    let (ours, baseline) = (median(ours), median(baseline));
    let mut report = Report::default();
    report.push(Row {
        what: format!("import of {} tasks until History serves the last", rows.len()),
        ours: format!("{ours:.2} s"),
        baseline: format!("{baseline:.2} s, SQLite"),
        ratio: baseline / ours,
        bounds: Some((0.04, 0.12)),
    });
    Ok(report)
}

async fn annals(file: &Path, rows: &[Vec<&str>]) -> anyhow::Result<f64> {
    let server = Server::start().await?;
    let start = Instant::now();
    server.import("onet", "Task", &["--id", "tasks/{Task ID}", "--content", "{Task}"], file).await?;
    let last = rows.last().context("tasks.tsv has rows")?[1];
    let history = format!("{}/onet/tasks/{last}?view=history", server.url()).parse()?;
    body(http_client().get(history).await?).await?;
    Ok(start.elapsed().as_secs_f64())
}

fn sqlite(rows: &[Vec<&str>]) -> anyhow::Result<f64> {
    let dir = tempfile::tempdir_in(directory()?)?;
    let start = Instant::now();
    let mut database = rusqlite::Connection::open(dir.path().join("tasks.sqlite"))?;
    database.pragma_update(None, "journal_mode", "wal")?;
    database.pragma_update(None, "synchronous", "full")?;
    let columns = (1..=rows[0].len()).map(|column| format!("c{column}")).collect::<Vec<_>>().join(", ");
    database.execute(&format!("create table tasks ({columns})"), [])?;
    let values = vec!["?"; rows[0].len()].join(", ");
    let insert = format!("insert into tasks values ({values})");
    for batch in rows.chunks(BATCH) {
        let transaction = database.transaction()?;
        let mut statement = transaction.prepare_cached(&insert)?;
        for row in batch {
            statement.execute(rusqlite::params_from_iter(row))?;
        }
        drop(statement);
        transaction.commit()?;
    }
    Ok(start.elapsed().as_secs_f64())
}
