//! Which builds of the store were made with a library: what must be made again when it has a hole.

use std::collections::{BTreeMap, BTreeSet};

use profiles::Digest;

use crate::store::{BuildRecord, Dependency};

/// A build that was made with what was asked for.
#[derive(Debug, Clone, Copy)]
pub struct User<'r> {
    /// The build.
    pub record: &'r BuildRecord,
    /// The layer under it: what was asked for itself, or one that was made with it.
    pub layer: &'r Dependency,
    /// What was asked for, where it was not a layer of the build, but of the build of [`User::layer`], or further down.
    pub below: Option<&'r Dependency>,
}

/// The builds that were made with a layer for which `is_meant` holds, those first that had it under them. Of a layer whose own record is
/// gone nobody knows what was under it.
pub fn users(records: &[BuildRecord], is_meant: impl Fn(&Dependency) -> bool) -> Vec<User<'_>> {
    let mut made_with: BTreeMap<Digest, Vec<(&BuildRecord, &Dependency)>> = BTreeMap::new();
    for record in records {
        for layer in &record.build_root {
            made_with.entry(layer.id).or_default().push((record, layer));
        }
    }
    let layer_of = |record: &'_ BuildRecord| record.build_root.iter().position(&is_meant);
    let mut users = Vec::new();
    for record in records {
        let layer = layer_of(record).map(|place| &record.build_root[place]);
        users.extend(layer.map(|layer| User { record, layer, below: None }));
    }
    let mut found: BTreeSet<Digest> = users.iter().map(|user: &User<'_>| user.record.id).collect();
    let mut next = 0;
    while let Some(user) = users.get(next).copied() {
        next += 1;
        for (record, layer) in made_with.get(&user.record.id).into_iter().flatten() {
            if found.insert(record.id) {
                users.push(User { record, layer, below: Some(user.below.unwrap_or(user.layer)) });
            }
        }
    }
    users
}

#[cfg(test)]
mod tests {
    use profiles::Name;

    use super::*;

    fn record(name: &str, id: u8, layers: &[(&str, u8)]) -> BuildRecord {
        let digest = |byte: u8| Digest::from_bytes([byte; 32]);
        let layer = |(name, id): &(&str, u8)| Dependency {
            name: Name::parse(name).unwrap(),
            version: "1".to_owned(),
            id: digest(*id),
            digest: digest(*id),
        };
        BuildRecord {
            build_root: layers.iter().map(layer).collect(),
            ..BuildRecord::without_recipe(Name::parse(name).unwrap(), "1".to_owned(), digest(id), "MIT", "x")
        }
    }

    #[test]
    fn what_was_made_with_it_comes_before_what_was_made_with_that() {
        let records = [
            record("git", 5, &[("boot", 1), ("curl", 4)]),
            record("curl", 4, &[("boot", 1), ("openssl", 3)]),
            record("openssl", 3, &[("boot", 1), ("zlib", 2)]),
            record("openssl", 9, &[("boot", 1), ("zlib", 8)]),
            record("zlib", 2, &[("boot", 1)]),
            record("nano", 6, &[("boot", 1)]),
            // A record that names itself, as a hostile store may have it.
            record("loop", 7, &[("loop", 7)]),
        ];
        let shown = |id: u8| -> Vec<String> {
            let meant = Digest::from_bytes([id; 32]);
            let users = users(&records, |layer| layer.id == meant);
            users
                .iter()
                .map(|it| {
                    format!("{} {} {:?}", it.record.name, it.layer.name, it.below.map(|it| it.name.as_str()))
                })
                .collect()
        };
        assert_eq!(shown(2), ["openssl zlib None", "curl openssl Some(\"zlib\")", "git curl Some(\"zlib\")"]);
        assert_eq!(shown(4), ["git curl None"]);
        assert_eq!(shown(7), ["loop loop None"]);
        assert_eq!(shown(5), [] as [&str; 0]);
    }
}
