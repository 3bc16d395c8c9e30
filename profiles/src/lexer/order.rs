//! The order of the tokens: what makes a node out of them.
//!
//! Where the order is wrong `kdl` looks for the next node character by character, also within strings, and what it takes for
//! nodes there, which nothing has counted, can cost it exponential time.

/// Most nodes, arguments and properties of a text together. The tree of `kdl` takes about 830 bytes for each, so that a text of 1 MiB
/// could become one of 400 MiB. A profile with 500 layers, the most that the kernel joins, and 1,000 optional images has 15,000.
pub(super) const MOST_PARTS: usize = 16_384;
const TOO_MANY: &str = "this is the 16385th node, argument or property, and a text may have 16384";

/// What is wrong, and what helps, where a node goes on behind its block.
const BEHIND_BLOCK: (&str, &str) = ("text after the end of a block", "start a new line after '}'");

/// A token, as far as the order is concerned. Spaces and comments are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Newline,
    Semicolon,
    Equals,
    Open,
    Close,
    Slashdash,
    /// A bare word or a string: what a node and a property can be called.
    Text,
    /// A number, `#true` and its kin.
    Value,
    End,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A node, or the end of the block.
    Node,
    /// More of a node, or its end.
    Entry,
    /// The same, or the `=` of a property.
    EntryOrEquals,
    /// The value of a property.
    Value,
    /// The end of a node; a `/-` may take out another block.
    End,
    /// The same, or the node's own block: those before it were taken out.
    BlockOrEnd,
}

/// The state between two tokens.
#[derive(Debug)]
pub(super) struct Order {
    next: Next,
    /// A `/-` waits for what it takes out.
    slashdash: bool,
    /// For each open block: whether its node may have another, because `/-` takes this one out.
    another: Vec<bool>,
    /// Nodes, arguments and properties so far.
    parts: usize,
}

impl Order {
    pub(super) fn new() -> Self {
        Self { next: Next::Node, slashdash: false, another: Vec::new(), parts: 0 }
    }

    /// Takes one more token.
    ///
    /// # Errors
    /// What is wrong with it at this place, and what helps.
    pub(super) fn take(&mut self, token: Token) -> Result<(), (&'static str, &'static str)> {
        self.count(token)?;
        if self.slashdash {
            match token {
                // Also further down.
                Token::Newline => return Ok(()),
                Token::Text | Token::Value | Token::Open => {}
                _ => {
                    return Err((
                        "'/-' takes nothing out here",
                        "remove it, or put it before what shall not count",
                    ));
                }
            }
        }
        let before = std::mem::replace(&mut self.slashdash, token == Token::Slashdash);
        match token {
            Token::Open if self.next == Next::End && !before => return Err(BEHIND_BLOCK),
            Token::Open => self.another.push(before && self.next != Next::End),
            _ => {}
        }
        let behind_block = match (token, self.another.last()) {
            (Token::Close, Some(true)) => Next::BlockOrEnd,
            _ => Next::End,
        };
        if token == Token::Close {
            self.another.pop();
        }
        self.next = match (self.next, token) {
            (Next::Node, Token::Newline | Token::Slashdash | Token::End) => Next::Node,
            (Next::Node, Token::Text) => Next::Entry,
            (Next::Node, Token::Close) => behind_block,
            (Next::Node, Token::Semicolon) => return Err(("';' without a node before it", "remove it")),
            (Next::Node, Token::Open) => {
                return Err(("a block without a node before it", "write the node's name before its '{'"));
            }
            (Next::Node, Token::Value) => {
                return Err((
                    "a node cannot be called so",
                    "a node begins with its name; quote it to mean a text",
                ));
            }
            (Next::Value, Token::Text | Token::Value) => Next::Entry,
            (Next::Value, _) => return Err(("the value behind '=' is missing", "a property is name=value")),
            (Next::EntryOrEquals, Token::Equals) => Next::Value,
            (Next::End | Next::BlockOrEnd, Token::Text | Token::Value | Token::Equals) => {
                return Err(BEHIND_BLOCK);
            }
            (Next::End | Next::BlockOrEnd, Token::Slashdash) => self.next,
            (_, Token::Equals) => {
                return Err((
                    "'=' without a property's name before it",
                    "a property is name=value, behind the node's name",
                ));
            }
            (_, Token::Text) => Next::EntryOrEquals,
            (_, Token::Value | Token::Slashdash) => Next::Entry,
            (_, Token::Close) => behind_block,
            (_, Token::Newline | Token::Semicolon | Token::Open | Token::End) => Next::Node,
        };
        Ok(())
    }

    /// Each part becomes a node or an entry of the tree, also one that `/-` takes out; the value of a property belongs to it.
    fn count(&mut self, token: Token) -> Result<(), (&'static str, &'static str)> {
        self.parts += usize::from(matches!(token, Token::Text | Token::Value) && self.next != Next::Value);
        if self.parts > MOST_PARTS {
            return Err((
                TOO_MANY,
                "nothing that Lamina reads needs so many: was a text copied in again and again?",
            ));
        }
        Ok(())
    }

    /// Whether a node may begin here.
    pub(super) fn expects_node(&self) -> bool {
        self.next == Next::Node
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::{MOST_PARTS, TOO_MANY};

    #[test]
    fn what_becomes_a_tree_is_counted_before_there_is_one() {
        assert!(
            TOO_MANY.contains(&MOST_PARTS.to_string()) && TOO_MANY.contains(&(MOST_PARTS + 1).to_string())
        );
        for part in [
            "a\n",
            "a;",
            "n b=c\n",
            "n 1\n",
            "n #true\n",
            "n \"\"\n",
            "/-n /-1\n",
            "n {m;}\n",
            "n /* a b */ \\\n 1\n",
        ] {
            let per_part = if part.starts_with('a') { 1 } else { 2 };
            let fits = part.repeat(MOST_PARTS / per_part);
            assert_eq!(check(&fits).map(|checked| checked.len()), Ok(fits.len()), "{part:?}");
            let fault = check(&format!("{fits}last")).expect_err(part);
            assert_eq!((fault.start, fault.message.as_str()), (fits.len(), TOO_MANY), "{part:?}");
        }
        // On one line, as arguments and as properties.
        for part in [" 1", " a", " a=1"] {
            let fits = format!("n{}", part.repeat(MOST_PARTS - 1));
            assert!(check(&fits).is_ok(), "{part}");
            assert_eq!(check(&format!("{fits}{part}")).expect_err(part).start, fits.len() + 1);
        }
    }

    #[test]
    fn what_makes_no_nodes_is_refused_where_it_stands() {
        for (text, at, message) in [
            (";", 0, "';' without a node before it"),
            ("a;;", 2, "';' without a node before it"),
            ("a {;}", 3, "';' without a node before it"),
            ("a\n{}", 2, "a block without a node before it"),
            ("/- {}", 3, "a block without a node before it"),
            ("12 a", 0, "a node cannot be called so"),
            ("#true", 0, "a node cannot be called so"),
            ("a=1", 1, "'=' without a property's name before it"),
            ("a 1=2", 3, "'=' without a property's name before it"),
            ("a b=c=d", 5, "'=' without a property's name before it"),
            ("a b==c", 4, "the value behind '=' is missing"),
            ("a b=\n", 4, "the value behind '=' is missing"),
            ("a {b c=}", 7, "the value behind '=' is missing"),
            ("a b=", 4, "the value behind '=' is missing"),
            ("a b=/-c", 4, "the value behind '=' is missing"),
            ("a /-", 4, "'/-' takes nothing out here"),
            ("a /- /- b", 5, "'/-' takes nothing out here"),
            ("a { /-}", 6, "'/-' takes nothing out here"),
            ("a { } /- 1", 9, "text after the end of a block"),
            ("a { } { }", 6, "text after the end of a block"),
            ("a { } /-{ } { }", 12, "text after the end of a block"),
            ("a /-{ } 1", 8, "text after the end of a block"),
            ("a /-{ } { } { }", 12, "text after the end of a block"),
            ("a /-/-b", 4, "'/-' takes nothing out here"),
            ("a/-;b", 3, "'/-' takes nothing out here"),
        ] {
            let fault = check(text).expect_err(text);
            assert_eq!((fault.start, fault.message.as_str()), (at, message), "{text}");
        }
    }

    /// Each of them is a document of `kdl` too.
    #[test]
    fn what_makes_nodes_passes() {
        for text in [
            "",
            "a",
            "a;",
            "a; b\nc",
            "\"a b\" c",
            "a b = c \"d\"=#true 1",
            "a {b}",
            "a {b;}\n",
            "a { b { c }; d }",
            "/- a b=1 {\n}\n/-\nb",
            "a /- b c /-d=1 /-{ e } { f }",
            "a b \\\n  c=1 \\ // comment\r\n  d",
            "a \\\r\n b=2",
            "a b /* c */ = 1",
        ] {
            let checked = check(text).map_err(|fault| fault.message);
            let parsed = checked.as_deref().map(|text| kdl::KdlDocument::parse_v2(text).is_ok());
            assert_eq!(parsed, Ok(true), "{text:?}");
        }
    }
}
