//! Owns the table of figures and whether every floor is reached. Never measures.

/// One comparison.
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// Our figure, with its unit.
    pub(crate) ours: String,
    /// The baseline's figure, with its unit.
    pub(crate) baseline: String,
    /// Ours as a multiple of the baseline; above 1 is better than it.
    pub(crate) ratio: f64,
    /// Below the first the bench fails; the second is what we are after. `None`: for information.
    pub(crate) bounds: Option<(f64, f64)>,
}

/// Figures, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Report(Vec<Row>);

impl Report {
    pub(crate) fn push(&mut self, row: Row) {
        self.0.push(row);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Prints the table; an error if a floor is not reached.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        println!("| what | Annals | baseline | ratio | floor | goal | |");
        println!("|---|---|---|---|---|---|---|");
        let mut missed = 0;
        for Row { what, ours, baseline, ratio, bounds } in self.0 {
            let Some((floor, goal)) = bounds else {
                println!("| {what} | {ours} | {baseline} | {ratio:.2}× | | | for information |");
                continue;
            };
            let verdict = match ratio {
                ratio if ratio >= goal => "goal reached",
                ratio if ratio >= floor => "floor reached",
                _ => "FLOOR MISSED",
            };
            missed += usize::from(ratio < floor);
            println!("| {what} | {ours} | {baseline} | {ratio:.2}× | {floor}× | {goal}× | {verdict} |");
        }
        anyhow::ensure!(missed == 0, "{missed} figures are below their floor");
        Ok(())
    }
}

/// The middle of `figures`, or the upper one of the two in the middle.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
