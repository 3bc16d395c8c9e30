//! Two texts of ids, held against each other line by line. docs/recipes.md, "The id", says what each line is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The first words of the lines of such a text, in their order. A line of another word, as a later version may write, keeps its place.
pub(super) const WORDS: [&str; 20] = [
    FORMAT,
    "name",
    "version",
    "license",
    "target",
    "image",
    BOOTSTRAP,
    "variant",
    "feature",
    "shared",
    "source",
    "patch",
    "file",
    "metadata",
    "attribute",
    LAYER,
    "depend",
    "debian",
    "step",
    "argument",
];

/// What the first line is called here: `lamina build 2` has the format of the text.
pub const FORMAT: &str = "format";
/// The line of the layer at the bottom.
pub const BOOTSTRAP: &str = "bootstrap";
/// The lines of the other layers under a build.
pub const LAYER: &str = "build-depend";

/// What differs between two texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// The lines that differ, by their first words, in the order of the text.
    pub groups: Vec<Group>,
    /// How many lines both have.
    pub same: usize,
}

/// Lines of one first word that differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The word; [`FORMAT`] for the first line of a text.
    pub word: String,
    /// Each line that differs, in the order of the later text; none where the same lines stand in another order.
    pub changes: Vec<Change>,
}

/// A line that differs, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Only the earlier text has it.
    Removed(String),
    /// Only the later text has it.
    Added(String),
    /// A line about the same thing is in both.
    Changed {
        /// As the earlier text has it.
        before: String,
        /// As the later text has it.
        after: String,
    },
}

impl Difference {
    /// How many lines differ; the lines of one word in another order count as one.
    pub fn lines(&self) -> usize {
        self.groups.iter().map(|group| group.changes.len().max(1)).sum()
    }
}

impl Change {
    /// The line of the earlier text.
    pub fn before(&self) -> Option<&str> {
        match self {
            Change::Removed(line) | Change::Changed { before: line, .. } => Some(line),
            Change::Added(_) => None,
        }
    }

    /// The line of the later text.
    pub fn after(&self) -> Option<&str> {
        match self {
            Change::Added(line) | Change::Changed { after: line, .. } => Some(line),
            Change::Removed(_) => None,
        }
    }
}

/// The first word of a line.
pub fn word(line: &str) -> &str {
    match line.split_once(' ') {
        Some(("lamina", _)) => FORMAT,
        Some((word, _)) => word,
        None => line,
    }
}

/// What a line is about, besides its word: a name or a path. `None` where there is one such line, or where lines are only a list.
pub fn thing(line: &str) -> Option<&str> {
    let rest = line.split_once(' ')?.1;
    match word(line) {
        // A name may have blanks in it, a hash has none.
        "source" | "patch" | "file" => Some(rest.rsplit_once(" sha256:").map_or(rest, |(name, _)| name)),
        "feature" | "metadata" | LAYER | "depend" | "step" => Some(rest.split(' ').next().unwrap_or(rest)),
        _ => None,
    }
}

/// What differs between two texts, of all lines whose first word is in `only`, or of all.
pub fn difference(before: &str, after: &str, only: Option<&BTreeSet<&str>>) -> Difference {
    let (before, after) = (grouped(before, only), grouped(after, only));
    let mut words: Vec<&str> = after.keys().chain(before.keys()).copied().collect();
    words.sort_by_key(|word| (rank(word), *word));
    words.dedup();
    let mut difference = Difference::default();
    let none = Vec::new();
    for word in words {
        let (old, new) = (before.get(word).unwrap_or(&none), after.get(word).unwrap_or(&none));
        if old == new {
            difference.same += new.len();
            continue;
        }
        let changes = changes(word, old, new);
        let gone = changes.iter().filter(|change| change.before().is_some()).count();
        difference.same += old.len() - gone;
        difference.groups.push(Group { word: word.to_owned(), changes });
    }
    difference
}

/// The place of a word in the text; those that this version does not write stand at its end.
pub(super) fn rank(word: &str) -> usize {
    WORDS.iter().position(|known| *known == word).unwrap_or(WORDS.len())
}

fn grouped<'a>(text: &'a str, only: Option<&BTreeSet<&str>>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines().filter(|line| only.is_none_or(|only| only.contains(word(line)))) {
        groups.entry(word(line)).or_default().push(line);
    }
    groups
}

/// The lines of one word that only one side has, those about the same thing together.
fn changes(word: &str, old: &[&str], new: &[&str]) -> Vec<Change> {
    let (gone, come) = (without(old, new), without(new, old));
    let is_one = gone.len() == 1 && come.len() == 1 && (rank(word) == WORDS.len() || is_single(word));
    let mut about: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
    for (place, line) in gone.iter().enumerate() {
        about.entry(thing(line).unwrap_or_default()).or_default().push_back(place);
    }
    let mut is_left = vec![true; gone.len()];
    let mut changes = Vec::new();
    for line in come {
        let same = thing(line).and_then(|it| about.get_mut(it)?.pop_front());
        let place = if is_one { Some(0) } else { same };
        changes.push(match place {
            Some(place) => {
                is_left[place] = false;
                Change::Changed { before: gone[place].to_owned(), after: line.to_owned() }
            }
            None => Change::Added(line.to_owned()),
        });
    }
    let left = gone.into_iter().zip(is_left).filter(|(_, is_left)| *is_left);
    changes.extend(left.map(|(line, _)| Change::Removed(line.to_owned())));
    changes
}

/// Whether one line that is gone and one that came are a change of one thing. The name of a source often has its version in it.
fn is_single(word: &str) -> bool {
    !["argument", "attribute", "debian", LAYER, "depend", "feature", "shared"].contains(&word)
}

/// The lines of `lines` that `others` does not have, as often as it has fewer of them.
fn without<'a>(lines: &[&'a str], others: &[&str]) -> Vec<&'a str> {
    let mut there: BTreeMap<&str, usize> = BTreeMap::new();
    for line in others {
        *there.entry(line).or_default() += 1;
    }
    let is_other = |line: &&&str| match there.get_mut(**line) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    };
    lines.iter().filter(is_other).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "lamina build 2\nname curl\nversion 8.5\nfeature ssl on\nsource curl-8.5.tar.gz sha256:aa\n\
                          patch b.patch sha256:bb\npatch a.patch sha256:aa\nbuild-depend openssl 11\nbuild-depend zlib 22\n\
                          step make sha256:cc\nargument make X\nargument make Y\n";

    fn shown(before: &str, after: &str) -> Vec<String> {
        let line = |change: &Change| {
            format!("{}|{}", change.before().unwrap_or_default(), change.after().unwrap_or_default())
        };
        let groups = difference(before, after, None).groups;
        groups
            .iter()
            .map(|group| {
                format!("{}: {}", group.word, group.changes.iter().map(line).collect::<Vec<_>>().join(", "))
            })
            .collect()
    }

    #[test]
    fn lines_about_one_thing_stand_together() {
        for (from, to, expected) in [
            ("build 2", "build 3", "format: lamina build 2|lamina build 3"),
            ("version 8.5", "version 8.6", "version: version 8.5|version 8.6"),
            ("feature ssl on", "feature ssl off", "feature: feature ssl on|feature ssl off"),
            (
                "curl-8.5.tar.gz sha256:aa",
                "curl-8.6.tar.gz sha256:ab",
                "source: source curl-8.5.tar.gz sha256:aa|source curl-8.6.tar.gz sha256:ab",
            ),
            ("zlib 22", "zlib 23", "build-depend: build-depend zlib 22|build-depend zlib 23"),
            (
                "build-depend zlib 22",
                "build-depend zstd 22",
                "build-depend: |build-depend zstd 22, build-depend zlib 22|",
            ),
            ("argument make Y\n", "", "argument: argument make Y|"),
            ("argument make X\nargument make Y", "argument make Y\nargument make X", "argument: "),
            (
                "patch b.patch sha256:bb\npatch a.patch sha256:aa",
                "patch a.patch sha256:aa\npatch b.patch sha256:bb",
                "patch: ",
            ),
            ("source curl", "shared tls\nsource curl", "shared: |shared tls"),
            ("name curl", "sandbox 7\nname curl", "sandbox: |sandbox 7"),
        ] {
            assert!(BEFORE.contains(from), "{from}");
            assert_eq!(shown(BEFORE, &BEFORE.replace(from, to)), [expected], "{from}");
        }
        assert_eq!(difference(BEFORE, BEFORE, None), Difference { groups: Vec::new(), same: 12 });
    }

    #[test]
    fn each_line_of_either_side_is_counted_once() {
        let after = BEFORE
            .replace("name curl", "name git")
            .replace("argument make X\n", "argument make X\n".repeat(3).as_str());
        let found = difference(BEFORE, &after, None);
        assert_eq!((found.same, found.lines()), (11, 3));
        let only = BTreeSet::from(["name"]);
        assert_eq!(difference(BEFORE, &after, Some(&only)).lines(), 1);
        // An empty text, and lines without a second word.
        assert_eq!(difference("", "debian\n\nx\n", None).lines(), 3);
        assert_eq!(difference("", "", None).lines(), 0);
    }

    #[test]
    fn a_long_text_is_compared_in_time() {
        let long: String = (0..200_000).map(|it| format!("argument make {it}\n")).collect();
        let other = long.replace("make 1", "make x");
        assert!(difference(&long, &other, None).lines() > 100_000);
        let long: Vec<String> = (0..100_000).map(|it| format!("file {it} sha256:a")).collect();
        let other: Vec<String> = long.iter().rev().map(|line| line.replace(":a", ":b")).collect();
        assert_eq!(difference(&long.join("\n"), &other.join("\n"), None).lines(), 100_000);
    }
}
