//! Owns what a filter asks of documents on the disk. Never looks for them.

use std::ops::Bound;

use tantivy::{
    Term,
    query::{AllQuery, BooleanQuery, ConstScoreQuery, InvertedIndexRangeQuery, Occur, Query, RangeQuery, TermSetQuery},
};

use super::fields::{Fields, term};
use crate::{
    facts::{Interval, Wanted},
    index::Filter,
};

/// Each condition as a query that adds nothing to a score.
pub(super) fn conditions(filter: &Filter, fields: &Fields) -> Vec<(Occur, Box<dyn Query>)> {
    let Filter { ns: _, ns_prefix: _, types, updated_from, updated_until, fields: wanted } = filter;
    let mut conditions = of_namespace(filter, fields);
    if !types.is_empty() {
        let types = types.iter().map(|name| Term::from_field_text(fields.thing_type, name.as_str()));
        conditions.push((Occur::Must, Box::new(TermSetQuery::new(types))));
    }
    if updated_from.is_some() || updated_until.is_some() {
        let bound = |millis: i64| Term::from_field_i64(fields.updated_at, millis);
        let from = updated_from.map_or(Bound::Unbounded, |from| Bound::Included(bound(from)));
        let until = updated_until.map_or(Bound::Unbounded, |until| Bound::Excluded(bound(until)));
        conditions.push((Occur::Must, Box::new(RangeQuery::new(from, until))));
    }
    for Wanted { any_of, is_absent } in wanted {
        let any_of: Vec<_> = any_of.iter().map(|interval| facts_in(interval, fields)).collect();
        let any_of: Box<dyn Query> = Box::new(BooleanQuery::union(any_of));
        conditions.push(if *is_absent { (Occur::MustNot, any_of) } else { (Occur::Must, any_of) });
    }
    let without_score = |(occur, query)| {
        let query: Box<dyn Query> = Box::new(ConstScoreQuery::new(query, 0.0));
        (occur, query)
    };
    conditions.into_iter().map(without_score).collect()
}

/// The conditions on the namespace alone.
pub(super) fn of_namespace(filter: &Filter, fields: &Fields) -> Vec<(Occur, Box<dyn Query>)> {
    let ns = filter.ns.as_ref().map(|ns| term(fields.ns, ns.as_str()));
    let ns_prefix = filter.ns_prefix.as_ref().map(|ns| term(fields.ancestors, ns.as_str()));
    ns.into_iter().chain(ns_prefix).map(|query| (Occur::Must, query)).collect()
}

/// All conditions as one query, which is not one of exclusions alone.
pub(super) fn all(mut conditions: Vec<(Occur, Box<dyn Query>)>) -> BooleanQuery {
    if conditions.iter().all(|(occur, _)| *occur == Occur::MustNot) {
        conditions.push((Occur::Must, Box::new(ConstScoreQuery::new(Box::new(AllQuery), 0.0))));
    }
    BooleanQuery::new(conditions)
}

fn facts_in((from, until): &Interval, fields: &Fields) -> Box<dyn Query> {
    let fact = |fact: &Vec<u8>| Term::from_field_bytes(fields.facts, fact);
    match (from, until) {
        (Bound::Included(from), Bound::Included(until)) if from == until => Box::new(TermSetQuery::new([fact(from)])),
        _ => Box::new(InvertedIndexRangeQuery::new(from.as_ref().map(fact), until.as_ref().map(fact))),
    }
}
