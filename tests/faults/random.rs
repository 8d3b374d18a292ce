//! Random histories: the disk forgets exactly what a model of it forgets.

use crate::scene::{Files, Scene};

/// The model: content of every file and entries of every directory, now and as last synced.
const PROGRAM: &str = include_str!("random_history.py");

#[test]
fn a_random_history_leaves_what_the_model_leaves() {
    for seed in 0..40 {
        let scene = Scene::with(&[]);
        let expected = scene.outside("expected.json");
        let found = scene.after(&format!("SEED, EXPECTED = {seed}, {:?}\n{PROGRAM}", expected.display().to_string()));
        let expected = std::fs::read(expected).expect("the model's answer");
        let expected: Files = serde_json::from_slice::<serde_json::Map<_, _>>(&expected)
            .expect("paths and contents")
            .into_iter()
            .map(|(path, content)| (path, content.as_str().expect("text").to_owned()))
            .collect();
        assert_eq!(found, expected, "seed {seed}");
    }
}
