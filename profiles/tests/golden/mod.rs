//! Golden files: `NAME.kdl` beside `NAME.expected`, the exact words that reading it must give.
//!
//! `LAMINA_BLESS=1 cargo test -p profiles` writes the `.expected` files anew; read the difference before committing it.

use std::fs;
use std::path::Path;

/// Gives each fixture of a folder to `report` and compares its words with the golden file.
pub fn check(folder: &str, report: impl Fn(&str, &[u8]) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut fixtures: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of fixtures")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "kdl"))
        .collect();
    fixtures.sort();
    assert!(!fixtures.is_empty(), "{} has no fixtures", folder.display());
    let mut differences = String::new();
    for fixture in fixtures {
        let label = fixture.file_name().and_then(|name| name.to_str()).expect("a plain file name");
        let found = report(label, &fs::read(&fixture).expect("the fixture")) + "\n";
        assert!(found.is_ascii(), "{label}: a serial console shows ASCII only:\n{found}");
        let golden = fixture.with_extension("expected");
        if std::env::var_os("LAMINA_BLESS").is_some() {
            fs::write(&golden, &found).expect("the golden file");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if found != expected {
            differences += &format!("--- {label}: expected\n{expected}--- found\n{found}");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}
