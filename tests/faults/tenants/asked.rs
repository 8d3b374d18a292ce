//! Searches at random: of every kind, with whatever goes with it.

use proto::{
    common::v1::FieldFilter,
    search::v1::{CompleteRequest, Mode, SearchRequest, SearchResponse, SimilarRequest},
};
use tonic::Status;

use super::{
    Caller, Pair, READ,
    written::{CITIES, HIDDEN, NAMESPACES, WORDS},
};
use crate::crash::dice::Dice;

const ALL: i32 = 1_000;

/// A search.
#[derive(Debug)]
pub(super) enum Asked {
    Search(SearchRequest),
    Similar(SimilarRequest),
    Complete(CompleteRequest),
}

impl Asked {
    pub(super) fn random(pair: &Pair, dice: &mut Dice) -> Self {
        let mode = dice.pick(&[Mode::Lexical, Mode::Semantic, Mode::Hybrid]).into();
        let maybe = |dice: &mut Dice, text: String| if dice.below(4) == 0 { text } else { String::new() };
        let ns = format!("n{}", dice.below(NAMESPACES));
        let ns = maybe(dice, ns);
        let ns_prefix = maybe(dice, READ.into());
        let types = if dice.below(5) == 0 { vec!["Log".to_owned()] } else { Vec::new() };
        let fields = fields(dice);
        let explain = dice.below(4) == 0;
        // A page has few, or all there are: what is equally good is in the order of names.
        let top_k = if dice.below(3) == 0 { 7 } else { ALL };
        match dice.below(8) {
            0 => Self::Complete(CompleteRequest {
                text: typed(dice),
                ns,
                ns_prefix,
                types,
                fields,
                top_k,
                ..Default::default()
            }),
            1 if !pair.keys.is_empty() => {
                let key = Some(pair.keys[dice.below(pair.keys.len() as u64) as usize].clone());
                Self::Similar(SimilarRequest {
                    key,
                    mode,
                    ns,
                    ns_prefix,
                    types,
                    fields,
                    top_k,
                    explain,
                    ..Default::default()
                })
            }
            _ => {
                let facets = ["ns", "type", "/city", "/n", "/none"].map(str::to_owned).to_vec();
                let facets = if dice.below(3) == 0 { facets } else { Vec::new() };
                let query = query(dice);
                Self::Search(SearchRequest {
                    query,
                    mode,
                    ns,
                    ns_prefix,
                    types,
                    fields,
                    facets,
                    top_k,
                    explain,
                    ..Default::default()
                })
            }
        }
    }

    pub(super) async fn of(&self, caller: &Caller, page_token: &str) -> Result<SearchResponse, Status> {
        let (mut client, page_token) = (caller.client.clone(), page_token.to_owned());
        let answer = match self {
            Self::Search(request) => {
                client.search(caller.signed(SearchRequest { page_token, ..request.clone() })).await
            }
            Self::Similar(request) => {
                client.similar(caller.signed(SimilarRequest { page_token, ..request.clone() })).await
            }
            Self::Complete(request) => client.complete(caller.signed(request.clone())).await,
        };
        Ok(answer?.into_inner())
    }
}

fn fields(dice: &mut Dice) -> Vec<FieldFilter> {
    let number = dice.below(20).to_string();
    let (from, until) = [(number.clone(), String::new()), (String::new(), number)][dice.below(2) as usize].clone();
    let city = format!("\"{} a\"", dice.pick(&CITIES));
    match dice.below(12) {
        0 => vec![FieldFilter { path: "/n".into(), from, until, ..Default::default() }],
        1 => vec![FieldFilter { path: "/city".into(), any_of: vec![city], ..Default::default() }],
        2 => vec![FieldFilter { path: "/none".into(), is_absent: true, ..Default::default() }],
        _ => Vec::new(),
    }
}

/// One to four words, of which some nothing visible has, some are phrases, prefixes or one letter wrong.
fn query(dice: &mut Dice) -> String {
    let count = 1 + dice.below(4);
    let clause = |_| {
        let word = if dice.below(4) == 0 { dice.pick(&HIDDEN) } else { dice.pick(&WORDS) };
        match dice.below(5) {
            0 => format!("{}*", &word[..=dice.below(word.len() as u64 - 1) as usize]),
            1 => format!("\"{word} {}\"", dice.pick(&WORDS)),
            2 => format!("{}x{}", &word[..2], &word[3..]),
            _ => word.to_owned(),
        }
    };
    (0..count).map(clause).collect::<Vec<_>>().join(" ")
}

fn typed(dice: &mut Dice) -> String {
    let word = if dice.below(3) == 0 { dice.pick(&HIDDEN) } else { dice.pick(&WORDS) };
    let first = if dice.below(2) == 0 { format!("{} ", dice.pick(&WORDS)) } else { String::new() };
    format!("{first}{}", &word[..=dice.below(word.len() as u64) as usize])
}
