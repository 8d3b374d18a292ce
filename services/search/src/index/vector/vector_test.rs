//! What is near and what is not: the same in memory and on the disk, before and after a kill and whatever was merged.

use domain::{Namespace, Visibility};
use proptest::prelude::*;

use super::{
    super::fed::{Fed, WORDS, key, names_with, play, public, put, tenant},
    *,
};

impl Default for Model {
    fn default() -> Self {
        Self::new(Embedder::HashV1)
    }
}

impl Fed<Vectors> {
    fn found(&self, text: &str, limit: usize) -> Vec<String> {
        let found = self.search(text, &Filter::default(), Sight(None), limit);
        found.into_iter().map(|found| found.key.id.as_str().to_owned()).collect()
    }

    fn search(&self, text: &str, filter: &Filter, sight: Sight<'_>, limit: usize) -> Vec<Found> {
        let wanted =
            Nearest { vector: &Embedder::HashV1.embed_query(text).unwrap(), filter, sight, among: None, limit };
        self.index.of(&tenant("a")).map_or(Vec::new(), |vectors| vectors.nearest(&wanted))
    }

    fn files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.dir.path().join("tenants/a")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|kind| kind == "vectors")).collect()
    }
}

#[test]
fn the_nearest_is_first_in_memory_and_on_the_disk() {
    let mut fed = Fed::<Vectors>::of([
        public("one", "Gardener", "plants trees"),
        public("two", "Software developer", "writes programs"),
        public("three", "Baker", "bakes bread"),
    ]);
    for _ in 0..2 {
        assert_eq!(fed.found("developers of software", 1), ["two"]);
        assert_eq!(fed.found("tree gardening", 3)[0], "one");
        assert_eq!(fed.found("anything", 2).len(), 2);
        fed.index.checkpoint().unwrap();
        fed = fed.reopen();
    }
}

#[test]
fn among_some_names_only_those_are_found() {
    let mut fed = Fed::<Vectors>::new();
    for number in 0..1_500 {
        fed.apply(public(&format!("{number}"), &format!("crane {number}"), ""));
    }
    let mut among: Vec<u64> = (0..1_500).step_by(300).map(|number| hash_of(&key("n", &number.to_string()))).collect();
    among.sort_unstable();
    for _ in 0..2 {
        let (vector, filter) = (Embedder::HashV1.embed_query("crane").unwrap(), Filter::default());
        let wanted = Nearest { vector: &vector, filter: &filter, sight: Sight(None), among: Some(&among), limit: 10 };
        let vectors = fed.index.of(&tenant("a")).unwrap();
        let mut found: Vec<_> = vectors.nearest(&wanted).into_iter().map(|found| found.key).collect();
        found.sort_unstable();
        let mut expected = ["0", "300", "600", "900", "1200"].map(|id| key("n", id));
        expected.sort_unstable();
        assert_eq!(found, expected);
        let keys = [&key("n", "300"), &key("n", "301")];
        let scores = vectors.scores(&keys, &wanted);
        assert_eq!(scores.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
        fed.index.checkpoint().unwrap();
    }
}

#[test]
fn a_filter_leaves_as_many_as_match() {
    let mut fed = Fed::<Vectors>::new();
    for number in 0..1_500 {
        let ns = if number % 500 == 0 { "few" } else { "many" };
        fed.apply(put(ns, &format!("{number}"), Visibility::Public, &format!("crane {number}"), ""));
    }
    let few = Filter { ns: Some("few".parse().unwrap()), ..Filter::default() };
    for _ in 0..2 {
        assert_eq!(fed.search("crane", &few, Sight(None), 10).len(), 3);
        assert_eq!(fed.search("crane", &Filter::default(), Sight(None), 10).len(), 10);
        fed.index.checkpoint().unwrap();
    }
}

#[test]
fn what_is_hidden_is_not_found_nor_changes_what_is() {
    let visible = || [public("one", "crane", "of the harbour"), put("mine", "two", Visibility::Private, "crane", "")];
    let hidden = put("theirs", "three", Visibility::Private, "crane", "harbour");
    let may_read = |ns: &Namespace| ns.as_str() == "mine";
    for is_on_disk in [false, true] {
        let (without, with) =
            (Fed::<Vectors>::of(visible()), Fed::<Vectors>::of(visible().into_iter().chain([hidden.clone()])));
        if is_on_disk {
            without.index.checkpoint().unwrap();
            with.index.checkpoint().unwrap();
        }
        let [without, with] =
            [without, with].map(|fed| fed.search("crane", &Filter::default(), Sight(Some(&may_read)), 10));
        assert_eq!((without.len(), &without), (2, &with));
    }
}

#[test]
fn a_file_that_is_damaged_is_named_and_made_again() {
    let fed = Fed::<Vectors>::of([public("one", "crane", "")]);
    fed.index.checkpoint().unwrap();
    let [file] = &fed.files()[..] else { panic!("one file") };
    let whole = fs::read(file).unwrap();
    for at in [0, 9, 40, 512, 1_024, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(file, bytes).unwrap();
        let error = Segment::open(file, &Coder::new(Embedder::HashV1.dimension())).map(drop);
        let is_padding = error.is_ok();
        assert!(is_padding || error.unwrap_err().to_string().contains("is damaged"), "byte {at}");
        assert!(!is_padding || at > 1_024, "byte {at}");
    }
    fs::write(file, &whole[..600]).unwrap();
    let mut fed = fed.reopen();
    assert_eq!((fed.index.position(), fed.found("crane", 1)), (None, vec![]));
    fed.apply(public("one", "crane", ""));
    assert_eq!(fed.found("crane", 1), ["one"]);
}

#[test]
fn what_a_kill_left_is_removed_and_files_stay_few() {
    let mut fed = Fed::<Vectors>::new();
    for number in 0..64 {
        fed.apply(public(&format!("{number}"), &format!("crane {number}"), ""));
        fed.index.checkpoint().unwrap();
    }
    assert!(fed.files().len() <= 7, "{:?}", fed.files());
    fs::write(fed.dir.path().join("tenants/a/000000009999.vectors"), "unfinished").unwrap();
    let fed = fed.reopen();
    assert!(fed.files().len() <= 7);
    assert_eq!(fed.found("crane", 100).len(), 64);
}

#[test]
fn what_has_no_words_is_not_found_by_its_vector() {
    let mut fed = Fed::<Vectors>::of([public("crane", "crane", "")]);
    fed.apply(public("…", "", ""));
    assert_eq!(fed.found("crane", 10), ["crane"]);
    assert_eq!(fed.search("…", &Filter::default(), Sight(None), 10), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is written when to the disk, merged, killed and applied again: what is found is what a map has.
    #[test]
    fn what_is_found_is_the_newest_state(steps in prop::collection::vec((0_u8..12, 0_u8..9, 0_u8..4), 1..80)) {
        let (fed, newest) = play::<Vectors>(steps);
        for word in WORDS {
            let found = fed.search(word, &Filter::default(), Sight(None), 100);
            let best = found.iter().filter(|found| found.score > 0.5);
            let mut best: Vec<_> = best.map(|found| found.key.id.as_str().to_owned()).collect();
            best.sort_unstable();
            prop_assert_eq!(best, names_with(&newest, word));
            prop_assert_eq!(found.len(), newest.values().flatten().count());
        }
    }
}
