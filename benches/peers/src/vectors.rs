//! The nearest vectors, of all and of those that a filter passes: ours against usearch and pgvector.

use anyhow::ensure;

use crate::{
    measure::{Measured, RECALL, TOP_K, in_turns, recall},
    ours::Ours,
    pgvector::Pgvector,
    points::{Among, DIMENSION, Points, SHARES},
    report::{Report, Row},
    usearch::Usearch,
};

const QUERIES: usize = 200;

/// A floor and a goal.
type Bounds = Option<(f64, f64)>;

/// What every engine is asked in one round.
pub(crate) struct Asked<'a> {
    pub(crate) queries: &'a [Vec<f32>],
    pub(crate) among: Among,
    /// By number of the point whether it counts; none is that all do.
    pub(crate) passing: Option<Vec<bool>>,
    /// For each query what is nearest.
    pub(crate) exact: Vec<Vec<usize>>,
}

impl<'a> Asked<'a> {
    fn of(points: &Points, queries: &'a [Vec<f32>], among: Among) -> Self {
        let passes = |number| match among {
            Among::All => true,
            Among::ByChance(share) => points.shares(number).0 == share,
            Among::ByPlace(share) => points.shares(number).1 == share,
        };
        let passing = (among != Among::All).then(|| (0..points.len()).map(passes).collect());
        let exact = queries.iter().map(|query| points.nearest(query, among, TOP_K)).collect();
        Self { queries, among, passing, exact }
    }

    fn describe(&self, measured: &Measured<usize>, how: &str) -> String {
        format!("{:.0}/s{how}, recall@{TOP_K} {:.4}", measured.rate, recall(&measured.found, &self.exact))
    }
}

pub(crate) fn run(count: usize) -> anyhow::Result<Report> {
    eprintln!("{count} points are made");
    let mut points = Points::new(count);
    let queries = points.queries(QUERIES);
    eprintln!("they are put into ours");
    let (ours, our_rate) = Ours::of_points(&points)?;
    eprintln!("ours took {our_rate:.0}/s; they are added to usearch");
    let (usearch, usearch_rate) = Usearch::of(&points)?;
    eprintln!("usearch took {usearch_rate:.0}/s; they are put into PostgreSQL and indexed");
    let (mut pgvector, pgvector_rate) = Pgvector::of(&points)?;
    eprintln!("pgvector took {pgvector_rate:.0}/s");
    let mut report = Report::default();
    let name = format!("{count} × {DIMENSION}");
    let inserts = |baseline: &str, rate: f64, bounds: Bounds| Row {
        what: format!("{name}, inserts a second against {baseline}"),
        ours: format!("{our_rate:.0}/s, on the disk"),
        baseline: format!("{rate:.0}/s"),
        ratio: our_rate / rate,
        bounds,
    };
    report.push(inserts("usearch", usearch_rate, Some((5.0, 5.0))));
    report.push(inserts("pgvector, copied and indexed", pgvector_rate, None));

    let share = |percent: f64| SHARES.iter().position(|share| (share - percent).abs() < f64::EPSILON);
    let share = |percent| share(percent).expect("the points have such a share");
    let rounds: [(&str, Among, Bounds, Bounds); 5] = [
        ("all", Among::All, Some((0.15, 0.4)), Some((0.0, 1.0))),
        ("10 % by chance", Among::ByChance(share(10.0)), Some((1.5, 4.0)), Some((0.0, 1.0))),
        ("0.5 % by chance", Among::ByChance(share(0.5)), Some((10.0, 40.0)), Some((0.0, 1.0))),
        ("10 % by place", Among::ByPlace(share(10.0)), None, None),
        ("0.5 % by place", Among::ByPlace(share(0.5)), None, None),
    ];
    for (what, among, of_usearch, of_pgvector) in rounds {
        eprintln!("{what}: each is tuned");
        let asked = Asked::of(&points, &queries, among);
        let limit = ours.tune(&asked)?;
        let expansion = usearch.tune(&asked)?;
        let plan = pgvector.tune(&asked)?;
        eprintln!("{what}: usearch with ef {expansion}, pgvector with {plan}; all are asked in turns");
        let [by_ours, by_usearch, by_pgvector] = in_turns(
            &queries,
            [
                &mut |query: &Vec<f32>| ours.near(query, among, limit),
                &mut |query: &Vec<f32>| usearch.near(query, &asked),
                &mut |query: &Vec<f32>| pgvector.near(query, &asked),
            ],
        )?;
        let found = recall(&by_ours.found, &asked.exact);
        ensure!(found >= RECALL, "{what}: ours finds only {found:.4} of what is nearest");
        let row = |baseline: &str, theirs: &Measured<usize>, how: &str, bounds| Row {
            what: format!("{name}, {what}, queries a second against {baseline}"),
            ours: asked.describe(&by_ours, &format!(" asked for {limit}")),
            baseline: asked.describe(theirs, how),
            ratio: by_ours.rate / theirs.rate,
            bounds,
        };
        report.push(row("usearch bf16", &by_usearch, &format!(" with ef {expansion}"), of_usearch));
        let over_its_wire = "pgvector over its wire, ours in process";
        report.push(row(over_its_wire, &by_pgvector, &format!(" with {plan}"), of_pgvector));
    }
    Ok(report)
}
