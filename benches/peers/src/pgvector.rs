//! pgvector: a graph of vectors of two bytes a number in a PostgreSQL of its own, asked over one connection.

use std::{
    fmt,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Instant,
};

use ::pgvector::HalfVector;
use anyhow::{Context as _, ensure};
use postgres::{Client, NoTls, Statement, binary_copy::BinaryCopyInWriter, types::Type};

use crate::{
    directory,
    measure::{RECALL, TOP_K, ask, recall},
    points::{Among, Points},
    vectors::Asked,
};

/// How many are looked at for a query: the first that finds enough is chosen. The last is the most that it takes.
const EFFORTS: [usize; 6] = [40, 80, 160, 320, 640, 1_000];
/// One process for one connection, and plans that are made once.
const SETTINGS: &str = "
    set max_parallel_workers_per_gather = 0;
    set max_parallel_maintenance_workers = 0;
    set maintenance_work_mem = '1GB';
    set work_mem = '256MB';
    set jit = off;
    set plan_cache_mode = force_generic_plan;";
const TABLE: &str = "
    create extension vector;
    create table points (id integer not null, by_chance smallint not null, by_place smallint not null, embedding halfvec(768) not null);";
const INDEXES: &str = "
    create index on points (by_chance);
    create index on points (by_place);
    create index points_near on points using hnsw (embedding halfvec_cosine_ops) with (m = 16, ef_construction = 64);
    analyze points;";

/// How a query is answered.
#[derive(Clone, Copy)]
pub(crate) enum Plan {
    /// By the graph, looking at so many at a time.
    Graph(usize),
    /// By comparing all that pass.
    Exact,
}

/// A table of points.
pub(crate) struct Pgvector {
    client: Client,
    /// What is asked now.
    query: Option<Statement>,
    server: Child,
}

impl Pgvector {
    /// All points, and how many of them are copied and indexed a second by one process.
    pub(crate) fn of(points: &Points) -> anyhow::Result<(Self, f64)> {
        let python =
            directory()?.ancestors().map(|dir| dir.join("backends/venv/bin/python")).find(|path| path.exists());
        let mut server = Command::new(python.context("there is no Python: run `cargo xtask backends`")?)
            .args(["-W", "ignore", concat!(env!("CARGO_MANIFEST_DIR"), "/src/server.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("Python does not start")?;
        let mut port = String::new();
        BufReader::new(server.stdout.take().context("it has an output")?).read_line(&mut port)?;
        let url = format!("host=127.0.0.1 port={} user=annals dbname=postgres", port.trim());
        let mut client = Client::connect(&url, NoTls).context("PostgreSQL does not answer")?;
        client.batch_execute(SETTINGS)?;
        client.batch_execute(TABLE)?;
        let started = Instant::now();
        copy(&mut client, points)?;
        client.batch_execute(INDEXES)?;
        let rate = points.len() as f64 / started.elapsed().as_secs_f64();
        // As many as there are: a narrow filter shall end the search, and not this.
        client.batch_execute(&format!("set hnsw.max_scan_tuples = {}", points.len()))?;
        Ok((Self { client, query: None, server }, rate))
    }

    /// Chooses the fastest way that finds enough, or the one that finds the most, and says it.
    pub(crate) fn tune(&mut self, asked: &Asked<'_>) -> anyhow::Result<Plan> {
        let (mut best, mut best_so_far) = (Plan::Exact, self.attempt(Plan::Exact, asked)?);
        for effort in EFFORTS {
            let attempt = self.attempt(Plan::Graph(effort), asked)?;
            if attempt > best_so_far {
                (best, best_so_far) = (Plan::Graph(effort), attempt);
            }
            // More only takes longer.
            if attempt.0 >= RECALL {
                break;
            }
        }
        self.choose(best, asked.among)?;
        Ok(best)
    }

    /// The recall, as far as it matters, and then the rate.
    fn attempt(&mut self, plan: Plan, asked: &Asked<'_>) -> anyhow::Result<(f64, f64)> {
        self.choose(plan, asked.among)?;
        let measured = ask(asked.queries, &mut |query: &Vec<f32>| self.near(query, asked))?;
        let recall = recall(&measured.found, &asked.exact);
        eprintln!("  pgvector with {plan}: {:.0}/s, recall {recall:.4}", measured.rate);
        Ok((recall.min(RECALL), measured.rate))
    }

    fn choose(&mut self, plan: Plan, among: Among) -> anyhow::Result<()> {
        let (graph, effort) = match plan {
            Plan::Graph(effort) => ("on", effort),
            Plan::Exact => ("off", EFFORTS[0]),
        };
        let other = if graph == "on" { "off" } else { "on" };
        let again = if among == Among::All { "off" } else { "relaxed_order" };
        self.client.batch_execute(&format!(
            "set enable_indexscan = {graph}; set enable_seqscan = {other}; set enable_bitmapscan = {other};
             set enable_sort = {other}; set hnsw.ef_search = {effort}; set hnsw.iterative_scan = {again}"
        ))?;
        let of = match among {
            Among::All => "",
            Among::ByChance(_) => "where by_chance = $2",
            Among::ByPlace(_) => "where by_place = $2",
        };
        // What a filtered search gives is almost in order.
        let query = format!(
            "with near as materialized (
                select id, embedding <=> $1 as distance from points {of} order by distance limit {TOP_K}
             ) select id from near order by distance + 0"
        );
        let plan_of = self.client.simple_query(&format!("explain (generic_plan) {query}"))?;
        let is_by_graph = format!("{plan_of:?}").contains("points_near");
        ensure!(is_by_graph == matches!(plan, Plan::Graph(_)), "PostgreSQL plans otherwise: {plan_of:?}");
        self.query = Some(self.client.prepare(&query)?);
        Ok(())
    }

    /// The numbers of the nearest points that pass.
    pub(crate) fn near(&mut self, query: &[f32], asked: &Asked<'_>) -> anyhow::Result<Vec<usize>> {
        let statement = self.query.as_ref().context("a plan is chosen")?;
        let vector = HalfVector::from_f32_slice(query);
        let rows = match asked.among {
            Among::All => self.client.query(statement, &[&vector])?,
            Among::ByChance(share) | Among::ByPlace(share) => {
                self.client.query(statement, &[&vector, &(share as i16)])?
            }
        };
        Ok(rows.into_iter().map(|row| row.get::<_, i32>(0) as usize).collect())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graph(effort) => write!(formatter, "ef {effort}"),
            Self::Exact => formatter.write_str("the exact plan"),
        }
    }
}

impl Drop for Pgvector {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

fn copy(client: &mut Client, points: &Points) -> anyhow::Result<()> {
    let embedding = client.prepare("select embedding from points")?.columns()[0].type_().clone();
    let mut copied = client.transaction()?;
    let writer = copied.copy_in("copy points from stdin binary")?;
    let mut writer = BinaryCopyInWriter::new(writer, &[Type::INT4, Type::INT2, Type::INT2, embedding]);
    for number in 0..points.len() {
        let (by_chance, by_place) = points.shares(number);
        let vector = HalfVector::from_f32_slice(points.vector(number));
        writer.write(&[&(number as i32), &(by_chance as i16), &(by_place as i16), &vector])?;
    }
    writer.finish()?;
    Ok(copied.commit()?)
}
