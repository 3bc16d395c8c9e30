//! A difference between two texts of ids, in words for people.

use super::difference::{Change, FORMAT, Group, LAYER, thing, word};
use super::known_text::layer_of;

/// What the lines of a group say, without the layers that are there before and after.
pub(super) fn of_group(group: &Group) -> Vec<String> {
    if group.changes.is_empty() {
        return vec![format!("{} lines in another order", group.word)];
    }
    let mut words: Vec<String> = group.changes.iter().filter_map(of_change).collect();
    // Each argument is a line.
    words.dedup();
    words
}

fn of_change(change: &Change) -> Option<String> {
    let line = change.after().or(change.before())?;
    let word = match word(line) {
        LAYER => "layer",
        word => word,
    };
    match (word, change) {
        _ if change.before().and_then(layer_of).is_some() && change.after().and_then(layer_of).is_some() => {
            None
        }
        ("argument", _) => {
            let step = line.split(' ').nth(1).unwrap_or_default();
            Some(format!("arguments of {step} changed"))
        }
        ("image", _) => Some("the format of images changed".to_owned()),
        (_, Change::Added(line)) => Some(format!("{word} {} is new", about(line))),
        (_, Change::Removed(line)) => Some(format!("{word} {} is gone", about(line))),
        (_, Change::Changed { before, after }) => Some(of_pair(word, before, after)),
    }
}

/// Two lines about one thing, or the only ones of their word.
fn of_pair(word: &str, before: &str, after: &str) -> String {
    match (word, thing(before), thing(after)) {
        ("feature", Some(name), _) => format!("feature {name} {} in place of {}", last(after), last(before)),
        (_, Some(old), Some(new)) if old == new => format!("{word} {new} changed"),
        _ => format!("{word} {} in place of {}", about(after), about(before)),
    }
}

/// What a line is about, or all that follows its word.
fn about(line: &str) -> &str {
    match thing(line) {
        Some(thing) => thing,
        None if word(line) == FORMAT => last(line),
        None => line.split_once(' ').map_or(line, |(_, rest)| rest),
    }
}

fn last(line: &str) -> &str {
    line.rsplit(' ').next().unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::super::difference::difference;
    use super::*;

    #[test]
    fn each_kind_of_line_has_its_words() {
        for (before, after, expected) in [
            ("lamina build 2", "lamina build 3", "format 3 in place of 2"),
            ("version 1.3", "version 1.3.1", "version 1.3.1 in place of 1.3"),
            ("license MIT", "license GPL-2.0-only OR MIT", "license GPL-2.0-only OR MIT in place of MIT"),
            ("image a b", "image a c", "the format of images changed"),
            ("variant static", "variant dynamic", "variant dynamic in place of static"),
            ("feature tls openssl", "feature tls none", "feature tls none in place of openssl"),
            ("", "feature tls none", "feature tls is new"),
            ("source a b.tar sha256:1", "source a b.tar sha256:2", "source a b.tar changed"),
            ("source a-1.tar sha256:1", "source a-2.tar sha256:2", "source a-2.tar in place of a-1.tar"),
            ("", "patch fix.patch sha256:1", "patch fix.patch is new"),
            ("file conf sha256:1", "", "file conf is gone"),
            (
                "metadata /usr/bin/su mode=4755",
                "metadata /usr/bin/su mode=0755",
                "metadata /usr/bin/su changed",
            ),
            ("", "attribute user.x", "attribute user.x is new"),
            ("depend musl any", "depend musl >=1", "depend musl changed"),
            ("step make sha256:1", "step make sha256:2", "step make changed"),
            ("argument make A\nargument make B", "argument make C", "arguments of make changed"),
            (
                "patch b sha256:1\npatch a sha256:2",
                "patch a sha256:2\npatch b sha256:1",
                "patch lines in another order",
            ),
            ("feature linkage static", "feature linkage mixed", "feature linkage mixed in place of static"),
            ("", "shared openssl", "shared openssl is new"),
            ("sandbox 7", "sandbox 8", "sandbox 8 in place of 7"),
        ] {
            let groups = difference(before, after, None).groups;
            let words: Vec<String> = groups.iter().flat_map(of_group).collect();
            assert_eq!(words, [expected], "{before:?} {after:?}");
        }
        let id = "ab".repeat(32);
        let line = format!("build-depend zlib {id}");
        let of = |before: &str, after: &str| -> Vec<String> {
            difference(before, after, None).groups.iter().flat_map(of_group).collect()
        };
        assert_eq!(of("", &line), ["layer zlib is new"]);
        assert_eq!(of(&line, ""), ["layer zlib is gone"]);
        assert_eq!(of(&line, &line.replace("ab", "cd")), [] as [&str; 0], "the layer says why itself");
    }
}
