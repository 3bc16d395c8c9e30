//! The record of an image that a test has written.

use std::collections::BTreeMap;

use builder::image::hash_tree::Protected;
use builder::store::BuildRecord;
use profiles::{Digest, Name};

/// As of a package that needs nothing and was built of nothing.
pub fn of(name: &str, written: &Protected) -> BuildRecord {
    BuildRecord {
        name: Name::parse(name).unwrap(),
        version: "1".to_owned(),
        id: Digest::from_bytes([1; 32]),
        digest: written.digest,
        size: written.size,
        verity: Some(written.verity),
        license: "MIT".to_owned(),
        target: "x86_64-linux".to_owned(),
        variant: None,
        features: BTreeMap::new(),
        build_root: Vec::new(),
        depends: Vec::new(),
        sources: Vec::new(),
    }
}
