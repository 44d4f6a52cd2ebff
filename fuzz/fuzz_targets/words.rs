//! A server's words → diagnosis: nothing may panic.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use whybounced::diagnosis::{Catalogue, Home};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::embedded().expect("sound"));

fuzz_target!(|words: &str| {
    for system in [None, Some("qq"), Some("microsoft")] {
        let diagnosis = CATALOGUE.diagnose_text(words, system, Home::MainlandChina);
        assert!(words.contains(&diagnosis.matched) || diagnosis.matched.len() <= 16, "{}", diagnosis.matched);
    }
});
