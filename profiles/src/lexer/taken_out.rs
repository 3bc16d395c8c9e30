//! What `/-` takes out of a text: a node, an argument, a property or a block.
//!
//! All of it becomes spaces before `kdl` reads the text. `kdl` 6.7 wants a space before a `/-` where KDL 2.0.0 wants none, knows no `;`
//! behind a node that is taken out, and takes twice the time for each level of blocks with one.

use super::order::Token;

/// The stretches that have begun and not ended, the outermost first.
#[derive(Debug, Default)]
pub(super) struct TakenOut {
    open: Vec<Stretch>,
}

#[derive(Debug)]
struct Stretch {
    /// Where its `/-` stands.
    start: usize,
    /// How many blocks are open around it.
    depth: usize,
    extent: Extent,
}

/// How far a stretch reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What is taken out comes yet: a node, or else a part of one.
    Undecided { node: bool },
    /// To the end of the node.
    Node,
    /// A text: an argument, or a property when a `=` comes.
    Name,
    /// A property whose value comes yet.
    Property,
    /// To the end of the block.
    Block,
    /// To the end of the token before.
    Complete,
}

impl TakenOut {
    /// A `/-` at `start`, inside of `depth` blocks; `node`: where a node may begin.
    pub(super) fn begin(&mut self, start: usize, depth: usize, node: bool) {
        self.open.push(Stretch { start, depth, extent: Extent::Undecided { node } });
    }

    /// Takes a token at `at`, inside of `depth` blocks (for braces: those around them), and returns the stretches that
    /// have ended. `before` is the end of the token before.
    pub(super) fn token(
        &mut self,
        token: Token,
        at: usize,
        depth: usize,
        before: usize,
    ) -> Vec<(usize, usize)> {
        let mut ended = Vec::new();
        while let Some(stretch) = self.open.last_mut() {
            let Some(end) = stretch.end(token, at, depth, before) else {
                stretch.extent = stretch.extent.grown(token, depth == stretch.depth);
                break;
            };
            ended.push((stretch.start, end));
            self.open.pop();
        }
        ended
    }
}

impl Stretch {
    /// Where it ends, when this token comes after its end or is its end.
    fn end(&self, token: Token, at: usize, depth: usize, before: usize) -> Option<usize> {
        match (self.extent, token) {
            (Extent::Complete, _) => Some(before),
            (Extent::Name, Token::Equals) => None,
            (Extent::Name, _) => Some(before),
            (Extent::Node, Token::Newline | Token::End) if depth == self.depth => Some(at),
            (Extent::Node, Token::Semicolon) if depth == self.depth => Some(at + 1),
            (Extent::Node, Token::Close) if depth < self.depth => Some(at),
            _ => None,
        }
    }
}

impl Extent {
    /// The extent behind this token; `outside`: in no block that began after the `/-`.
    fn grown(self, token: Token, outside: bool) -> Extent {
        match (self, token) {
            (Extent::Undecided { node: true }, Token::Text | Token::Value) => Extent::Node,
            (Extent::Undecided { .. }, Token::Text) => Extent::Name,
            (Extent::Undecided { .. } | Extent::Property, Token::Value) => Extent::Complete,
            (Extent::Undecided { .. }, Token::Open) => Extent::Block,
            (Extent::Name, Token::Equals) => Extent::Property,
            (Extent::Property, Token::Text) => Extent::Complete,
            (Extent::Block, Token::Close) if outside => Extent::Complete,
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;

    /// Each is a document of KDL 2.0.0 (its grammar wants no space before `/-`), and means the second, which `kdl` reads. All were
    /// refused, by the check or by `kdl`, but for those with a space before each `/-` and no `;`.
    #[test]
    fn what_is_taken_out_is_gone_and_the_rest_stays_in_its_place() {
        for (text, expected) in [
            ("node \"string\"/-1 2", "node \"string\" 2"),
            ("node \"string\"/-{ a; }", "node \"string\" "),
            ("node \"string\"/-foo=1", "node \"string\" "),
            ("node/-1", "node "),
            ("node/-a/-b c", "node c"),
            ("node 1/-2/-b=\"c\"{d}", "node 1 {d}"),
            ("node #true/-1", "node #true "),
            ("node #\"raw\"#/-1", "node #\"raw\"# "),
            ("node a=1/-b = 2 c", "node a=1 c"),
            ("node /-a /*b*/ = \\\n c d", "node d"),
            ("node /-\n 1 2", "node 2"),
            ("node /-// why\n 1 2", "node 2"),
            ("/-node/-1 {\n a\n}\nb", " \nb"),
            ("a {/-b\n}", "a { \n}"),
            ("a {/-b {c; d}}\ne", "a { }\ne"),
            ("a /-{b} /-{c} {d} /-{e}", "a {d} "),
            ("a {}/-{}/-{}", "a {} "),
            ("/- a; b", " b"),
            ("/- a { b; }; c", " c"),
            ("a {b; /-c; d}", "a {b; d}"),
            ("a {b;/-c}", "a {b; }"),
        ] {
            let checked = check(text).unwrap_or_else(|fault| panic!("{text:?}: {}", fault.message));
            assert_eq!(checked.len(), text.len(), "{text:?}");
            let words =
                |text: &str| text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            assert_eq!(words(&checked), words(expected), "{text:?}");
            assert!(kdl::KdlDocument::parse_v2(&checked).is_ok(), "{text:?}");
        }
    }

    /// `kdl` takes twice the time for each level; blanked, there is nothing left to read.
    #[test]
    fn nesting_costs_nothing() {
        let text = format!("a {}/-x 1{}", "{ /-b { c ".repeat(15), "}\n}\n".repeat(15));
        let checked = check(&text).map_err(|fault| fault.message).unwrap();
        assert_eq!(checked.len(), text.len());
        assert!(!checked.contains("/-") && !checked.contains('b'));
        assert!(kdl::KdlDocument::parse_v2(&checked).is_ok(), "{checked}");
    }
}
