//! Our index engines, fed as by events.

use std::time::Instant;

use anyhow::Context as _;
use domain::{
    Content, Data, Embedding, Id, Json, Key, Namespace, TenantId, Thing, ThingBody, Timestamp, TypeName, Visibility,
};
use search::engine::Engine;
use tempfile::TempDir;

use crate::{
    directory,
    measure::{RECALL, TOP_K, ask, recall},
    onet::Row,
    points::{Among, DIMENSION, Points, SHARES},
    vectors::Asked,
};

/// Things that are made at a time.
const BATCH: usize = 1_000;
/// For how many it is asked: as many as are wanted, or with the spare ones of a search. The first that finds enough is chosen.
const LIMITS: [usize; 2] = [TOP_K, TOP_K + 16];

/// An index of points or of rows.
pub(crate) struct Ours {
    engine: Engine,
    /// By share.
    types: Vec<TypeName>,
    namespaces: Vec<Namespace>,
    dir: TempDir,
}

impl Ours {
    fn open() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir_in(directory()?)?;
        let engine = Engine::open(dir.path(), DIMENSION)?;
        let shares = 0..=SHARES.len();
        let types = shares.clone().map(|share| format!("P{share}").parse()).collect::<Result<_, _>>()?;
        let namespaces = shares.map(|share| format!("p{share}").parse()).collect::<Result<_, _>>()?;
        Ok(Self { engine, types, namespaces, dir })
    }

    /// All points, and how many of them are put a second until all of them are on the disk.
    pub(crate) fn of_points(points: &Points) -> anyhow::Result<(Self, f64)> {
        let (ours, mut seconds) = (Self::open()?, 0.0);
        for first in (0..points.len()).step_by(BATCH) {
            let numbers = first..points.len().min(first + BATCH);
            let things: Vec<_> = numbers.map(|number| ours.point(points, number)).collect::<Result<_, _>>()?;
            let started = Instant::now();
            ours.engine.put_vectors(&things)?;
            seconds += started.elapsed().as_secs_f64();
        }
        let started = Instant::now();
        ours.engine.flush()?;
        seconds += started.elapsed().as_secs_f64();
        Ok((ours, points.len() as f64 / seconds))
    }

    /// All rows.
    pub(crate) fn of_rows(rows: &[Row]) -> anyhow::Result<Self> {
        let ours = Self::open()?;
        let things: Vec<_> = rows.iter().map(|row| ours.row(row)).collect::<anyhow::Result<_>>()?;
        ours.engine.put_texts(&things)?;
        ours.engine.flush()?;
        Ok(ours)
    }

    /// For how many it is to be asked.
    pub(crate) fn tune(&self, asked: &Asked<'_>) -> anyhow::Result<usize> {
        for limit in LIMITS {
            let found = ask(asked.queries, &mut |query: &Vec<f32>| self.near(query, asked.among, limit))?.found;
            let found = recall(&found, &asked.exact);
            eprintln!("  ours of {limit}: recall {found:.4}");
            if found >= RECALL {
                return Ok(limit);
            }
        }
        Ok(LIMITS[LIMITS.len() - 1])
    }

    /// The numbers of the nearest points; it is asked for `limit`.
    pub(crate) fn near(&self, query: &[f32], among: Among, limit: usize) -> anyhow::Result<Vec<usize>> {
        let near = match among {
            Among::All => self.engine.nearest(query, None, &[], limit),
            Among::ByChance(share) => self.engine.nearest(query, None, &self.types[share..=share], limit),
            Among::ByPlace(share) => self.engine.nearest(query, Some(&self.namespaces[share]), &[], limit),
        };
        near.into_iter().take(TOP_K).map(|(key, _)| key.id.as_str().parse().context("a point has a number")).collect()
    }

    /// The ids of the best rows.
    pub(crate) fn best(&self, query: &str) -> anyhow::Result<Vec<String>> {
        let best = self.engine.matching(query, TOP_K)?;
        Ok(best.into_iter().map(|(key, _)| key.id.as_str().to_owned()).collect())
    }

    /// Of how many files the index of texts is.
    pub(crate) fn text_files(&self) -> anyhow::Result<usize> {
        let path = self.dir.path().join("texts/tenants").join(TenantId::local().as_str());
        Ok(::tantivy::Index::open_in_dir(path)?.searchable_segment_ids()?.len())
    }

    fn point(&self, points: &Points, number: usize) -> anyhow::Result<Thing> {
        let (by_chance, by_place) = points.shares(number);
        let id = Id::from_canonical(&number.to_string())?;
        let embedding = Some(Embedding::try_from(points.vector(number).to_vec())?);
        let thing_type = self.types[by_chance].clone();
        let body = ThingBody { embedding, ..body(thing_type) };
        thing(Key::canonical(self.namespaces[by_place].clone(), id), body)
    }

    fn row(&self, Row { id, title, content }: &Row) -> anyhow::Result<Thing> {
        let key = Key::canonical(self.namespaces[0].clone(), Id::from_canonical(id)?);
        let of_title = |title: &String| Json::Object(vec![("Title".into(), Json::String(title.as_str().into()))]);
        let data = title.as_ref().map(|title| Data::try_from(of_title(title))).transpose()?;
        let content = Some(Content::try_from(content.clone())?);
        thing(key, ThingBody { content, data, ..body(self.types[0].clone()) })
    }
}

fn body(thing_type: TypeName) -> ThingBody {
    ThingBody { thing_type, visibility: Visibility::Public, content: None, code: None, data: None, embedding: None }
}

fn thing(key: Key, body: ThingBody) -> anyhow::Result<Thing> {
    Ok(Thing { key, body, created_at: Timestamp::from_millis(0)?, etag: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse()? })
}
